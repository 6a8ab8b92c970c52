"""Bank files as numbered lines of text: decoded, limited, in bounded memory."""

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from finora_core.plugins import StatementRefused, StatementTooLarge

LONGEST_LINE = 1 << 20
"""Characters in one line; a file with a longer one is no statement."""

_CHUNK = 1 << 16
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARABLE = re.compile(r"(?:windows-?|cp|iso-?8859-?|koi8-?)[0-9a-z]{1,5}", re.ASCII | re.I)


def open_text(file: BinaryIO, declared: str | None = None) -> Iterator[tuple[int, str]]:
    r"""The file's lines from its start, without their ends, numbered from 1.

    The encoding is what the byte order mark says; else UTF-8 where all of the file is UTF-8; else
    `declared` where that is a known one-byte encoding; else windows-1252. A line ends with `\n`,
    `\r\n` or a lone `\r`. Raises StatementRefused for a NUL character, StatementTooLarge for a
    line of more than LONGEST_LINE characters.
    """
    encoding = _encoding(file, declared)
    file.seek(0)
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(encoding)(errors="replace"), translate=True
    )
    number, rest, more = 1, "", True
    while more:
        chunk = file.read(_CHUNK)
        more = bool(chunk)
        text = rest + decoder.decode(chunk, final=not more)
        if "\0" in text:
            raise _nul(number + text.count("\n", 0, text.index("\0")))
        *lines, rest = text.split("\n")
        for line in lines:
            if len(line) > LONGEST_LINE:
                raise _too_long(number)
            yield number, line
            number += 1
        if len(rest) > LONGEST_LINE:
            raise _too_long(number)
    if rest:
        yield number, rest


def whole_text(file: BinaryIO, most: int) -> str:
    """All of a file that is one value, in however many lines: JSON. Its encoding is told as by
    open_text. Raises StatementTooLarge past `most` bytes, StatementRefused for a NUL character."""
    encoding = _encoding(file, None)
    file.seek(0)
    data = file.read(most + 1)
    if len(data) > most:
        raise StatementTooLarge(f"more than {most >> 20} MB")
    text = data.decode(encoding, errors="replace")
    if "\0" in text:
        raise _nul(1 + text.count("\n", 0, text.index("\0")))
    return text


def text_of_head(head: bytes) -> str:
    """The first bytes of a file as text good enough to recognise a format by."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return head.decode(encoding, errors="replace")
    return head.decode("latin-1")


def _encoding(file: BinaryIO, declared: str | None) -> str:
    file.seek(0)
    start = file.read(4)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    # What a header claims is wrong so often that the bytes are asked first.
    return "utf-8" if _is_utf8(file) else _one_byte(declared)


def _is_utf8(file: BinaryIO) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := file.read(_CHUNK):
            decoder.decode(chunk)
    except UnicodeDecodeError:
        return False
    return True


def _one_byte(declared: str | None) -> str:
    if declared is None or not _DECLARABLE.fullmatch(declared):
        return "cp1252"
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        return "cp1252"
    # Nobody means the control characters that Latin-1 has in place of the euro sign and quotes.
    return "cp1252" if name == "iso8859-1" else name


def _nul(number: int) -> StatementRefused:
    return StatementRefused.at(number, "holds a NUL character: this is not a text file")


def _too_long(number: int) -> StatementRefused:
    return StatementTooLarge.at(number, f"is longer than {LONGEST_LINE:,} characters")
