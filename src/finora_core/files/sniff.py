"""What a file is by its leading bytes, and whether its name and claimed type agree."""

import re
from collections.abc import Mapping
from enum import StrEnum

import attrs

HEAD = 4096
"""How many leading bytes are looked at."""
UNKNOWN_MEDIA_TYPE = "application/octet-stream"


class Reason(StrEnum):
    """Why a file is set aside."""

    EXECUTABLE = "EXECUTABLE"
    ACTIVE_CONTENT = "ACTIVE_CONTENT"
    """HTML, SVG or whatever else a browser would run."""
    UNKNOWN_TYPE = "UNKNOWN_TYPE"
    NAME_MISMATCH = "NAME_MISMATCH"
    """The name's ending says another type than the bytes."""
    TYPE_MISMATCH = "TYPE_MISMATCH"
    """The claimed media type says another type than the bytes."""


@attrs.frozen
class Verdict:
    """`reason` is None for a file that is taken."""

    media_type: str
    reason: Reason | None = None


@attrs.frozen
class _Kind:
    media_type: str
    endings: frozenset[str]
    claims: frozenset[str]


def _kind(media_type: str, endings: str, claims: str = "") -> _Kind:
    return _Kind(media_type, frozenset(endings.split()), frozenset((media_type, *claims.split())))


_CSV = _kind(
    "text/csv",
    "csv tsv",
    "text/plain text/tab-separated-values text/comma-separated-values application/csv "
    # What Windows says of a .csv where Excel is installed.
    "application/vnd.ms-excel",
)
_TEXT = _kind("text/plain", "txt text log sta mt940 940 mt942 942 asc", "application/x-mt940")
_OFX = _kind("application/x-ofx", "ofx qfx", "application/ofx application/vnd.intu.qfx text/ofx")
_QIF = _kind("application/qif", "qif", "application/x-qif application/vnd.intu.qif image/x-qif")
_XML = _kind("application/xml", "xml camt camt053 053", "text/xml")
_ZIP = _kind("application/zip", "zip", "application/x-zip-compressed application/x-zip")
_XLSX = _kind("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx")
_PDF = _kind("application/pdf", "pdf", "application/x-pdf")
_PNG = _kind("image/png", "png")
_JPEG = _kind("image/jpeg", "jpg jpeg jpe", "image/jpg image/pjpeg")
_WEBP = _kind("image/webp", "webp")

KINDS = (_CSV, _TEXT, _OFX, _QIF, _XML, _ZIP, _XLSX, _PDF, _PNG, _JPEG, _WEBP)
_BY_ENDING: Mapping[str, _Kind] = {ending: kind for kind in KINDS for ending in kind.endings}
# Text by another name is still text: a statement is often called .txt, whatever it holds.
_TEXTUAL = frozenset({_TEXT, _CSV, _OFX, _QIF, _XML})
_RUN_BY_NAME = frozenset(
    [
        "exe",
        "dll",
        "com",
        "scr",
        "msi",
        "msp",
        "cpl",
        "sys",
        "bat",
        "cmd",
        "ps1",
        "psm1",
        "vbs",
        "vbe",
        "js",
        "mjs",
        "jse",
        "wsf",
        "wsh",
        "hta",
        "lnk",
        "reg",
        "inf",
        "sh",
        "bash",
        "zsh",
        "command",
        "app",
        "dmg",
        "pkg",
        "deb",
        "rpm",
        "apk",
        "jar",
        "class",
        "so",
        "dylib",
        "bin",
        "run",
        "elf",
        "py",
        "rb",
        "pl",
        "php",
        "jsp",
        "asp",
        "aspx",
        "cgi",
        "xlsm",
        "xlam",
        "xltm",
        "docm",
        "pptm",
        "iso",
        "img",
    ]
)
_SHOWN_BY_NAME = frozenset(
    ["html", "htm", "xhtml", "xht", "shtml", "mht", "mhtml", "svg", "svgz", "swf", "xsl", "xslt"]
)
_NO_CLAIM = frozenset({"", UNKNOWN_MEDIA_TYPE, "binary/octet-stream"})

_MACHINE_CODE = (
    b"\x7fELF", b"\0asm", b"\xca\xfe\xba\xbe", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"L\0\0\0\x01\x14\x02\0", b"dex\n", b"!<arch>\n",
)  # fmt: skip
# SWIFT frames its messages in the controls 1 to 4, and DOS ends a text with 26.
_NOT_TEXT = re.compile(rb"[\0\x05-\x08\x0b\x0e-\x19\x1b-\x1f\x7f]")
_ACTIVE = re.compile(
    r"<\s*!doctype\s+(html|svg)|<\s*([\w.-]+:)?(html|svg|script|iframe|object|embed)[\s>/]"
    r"|<\?xml-stylesheet|http://www\.w3\.org/(1999/xhtml|2000/svg|1999/xsl)"
)
# What browsers take for the beginning of a page that leaves <html> out.
_PAGE = re.compile(r"(<!--.*?-->\s*)*<(head|body|title|meta|link|style|img|a|p|div|table|h1)[\s>]")
_SHEBANG = re.compile(r"#!\s*/|@echo\s+off|<\?php")
_OFX_HEAD = re.compile(r"ofxheader\s*[:=]|<\?ofx|<ofx>")
_QIF_HEAD = re.compile(r"!(type|account|option|clear)\b")
_ZIP_NAME = re.compile(rb"PK\x03\x04[\s\S]{22}([\s\S]{2})[\s\S]{2}")


def judge(head: bytes, name: str, claimed: str | None = None) -> Verdict:
    """What to do with a file that begins with `head` (all of it, or 4096 bytes), has a cleaned
    `name`, and that its sender says is of the media type `claimed`."""
    found = _sniffed(head)
    ending = name.lower().rpartition(".")[2] if "." in name else ""
    if isinstance(found, Reason):
        return Verdict(UNKNOWN_MEDIA_TYPE, found)
    if ending in _RUN_BY_NAME:
        return Verdict(UNKNOWN_MEDIA_TYPE, Reason.EXECUTABLE)
    if ending in _SHOWN_BY_NAME:
        return Verdict(UNKNOWN_MEDIA_TYPE, Reason.ACTIVE_CONTENT)
    claim = (claimed or "").partition(";")[0].strip().lower()
    called = _BY_ENDING.get(ending)
    if found is _TEXT and (called is _CSV or (called is not _TEXT and claim == _CSV.media_type)):
        found = _CSV
    if called is not None and not _agrees(found, called):
        return Verdict(UNKNOWN_MEDIA_TYPE, Reason.NAME_MISMATCH)
    if claim not in _NO_CLAIM and not _claims(found, claim):
        return Verdict(UNKNOWN_MEDIA_TYPE, Reason.TYPE_MISMATCH)
    return Verdict(found.media_type)


def _agrees(found: _Kind, called: _Kind) -> bool:
    if called is _TEXT:
        return found in _TEXTUAL
    # OFX 2 is XML.
    return found is called or (found is _OFX and called is _XML)


def _claims(found: _Kind, claim: str) -> bool:
    if claim in found.claims or (found in _TEXTUAL and claim == _TEXT.media_type):
        return True
    return (found is _OFX and claim in _XML.claims) or (found is _TEXT and claim in _CSV.claims)


def _sniffed(head: bytes) -> _Kind | Reason:
    if head.startswith(b"%PDF-"):
        return _PDF
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _PNG
    if head.startswith(b"\xff\xd8\xff"):
        return _JPEG
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _WEBP
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _archive(head)
    if head.startswith(_MACHINE_CODE):
        return Reason.EXECUTABLE
    text = _text(head)
    if text is None:
        return Reason.EXECUTABLE if head.startswith(b"MZ") else Reason.UNKNOWN_TYPE
    return _written(text)


def _archive(head: bytes) -> _Kind | Reason:
    names = [
        head[match.end() : match.end() + int.from_bytes(match[1], "little")]
        for match in _ZIP_NAME.finditer(head)
    ]
    if any(name.startswith((b"META-INF/", b"AndroidManifest", b"classes.dex")) for name in names):
        return Reason.EXECUTABLE
    if any(name.endswith(b"vbaProject.bin") for name in names):
        return Reason.ACTIVE_CONTENT
    if any(name.startswith((b"word/", b"ppt/")) for name in names):
        return Reason.UNKNOWN_TYPE
    office = (b"xl/", b"[Content_Types].xml", b"_rels/.rels", b"docProps/")
    return _XLSX if any(name.startswith(office) for name in names) else _ZIP


def _text(head: bytes) -> str | None:
    """The head as small letters without its mark and first blanks, or None if it is no text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head[: len(head) & ~1].decode("utf-16", errors="replace")
    elif _NOT_TEXT.search(head):
        return None
    else:
        text = head.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    return text.lstrip().lower()


def _written(text: str) -> _Kind | Reason:
    if _SHEBANG.match(text):
        return Reason.EXECUTABLE
    if text.startswith("<"):
        if _ACTIVE.search(text) or _PAGE.match(text):
            return Reason.ACTIVE_CONTENT
        return _OFX if _OFX_HEAD.search(text) else _XML
    if _OFX_HEAD.match(text):
        return _OFX
    return _QIF if _QIF_HEAD.match(text) else _TEXT
