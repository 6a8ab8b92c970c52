"""The language models and vectors that come with Finora, registered as a stranger's are."""

from collections.abc import Callable

from finora_adapters.models.hashing import HashingEmbeddings
from finora_adapters.models.local import LocalModel
from finora_adapters.models.minilm import MiniLmEmbeddings
from finora_adapters.models.openai import OpenAiModel
from finora_core.plugins import EmbeddingsProvider, LanguageModelProvider, hookimpl


@hookimpl
def register_language_models(register: Callable[[LanguageModelProvider], None]) -> None:
    register(LocalModel)
    register(OpenAiModel)


@hookimpl
def register_embeddings(register: Callable[[EmbeddingsProvider], None]) -> None:
    register(HashingEmbeddings)
    register(MiniLmEmbeddings)
