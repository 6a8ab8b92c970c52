"""Texts that are whole, and hard to keep as they are; and what is no text."""

import unicodedata


def _of(*categories: str, until: int = 0x110000) -> list[str]:
    return [chr(code) for code in range(1, until) if unicodedata.category(chr(code)) in categories]


_FORMAT = _of("Cf", "Zl", "Zp", "Zs", until=0xE0100)
"""Marks of direction, joiners, spaces of any width, tags that no reader sees."""
_CONTROL = _of("Cc")
_NONE = [chr(plane << 16 | 0xFFFE | last) for plane in range(17) for last in (0, 1)]
"""Of no character, and of Unicode all the same."""

_WRITTEN = (
    "e\u0301", "\u00e9", "\ufb01", "\ufb03", "\u1e9e", "\u00df", "\u0130", "\u0131", "i\u0307", "I", "ı", "İ",
    "\u212a", "\u212b", "\u2126", "\uff21\uff22", "𝐀𝒜𝔄𝔸", "Å", "A\u030a", "ǆ", "ǅ", "ﷺ", "㋿", "㌀", "½", "①",
    "\u0e33", "\u0f77", "가", "\u1100\u1161", "각\u11a8", "\u0958", "\u2adc", "\U0001d15e", "ά", "ά", "ς", "Σ",
    "\u202eevil.exe", "\u202dx\u202c", "\u2066x\u2069", "\u200fx", "\u200ex", "a\u200bb", "a\u200db", "a\u2060b",
    "\ufeffx", "x\ufeff", "\u180ex", "\u3164", "\u115f\u1160", "\uffa0", "\u2800", "\u034f", "\u17b4", "\u061c",
    "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇦🇹", "🇦", "❤️", "❤\ufe0e", "\U000e0067", "🏴\U000e0067\U000e0062\U000e007f", "\U0001f9d1",
    "المال", "שלום", "हिन्दी", "ไทย", "中文", "日本語", "한국어", "Ελληνικά", "Русский", "ქართული", "አማርኛ", "தமிழ்",
    "Iñtërnâtiônàlizætiøn", "Ṱ̺̺̕o͞ ̷i̲̬͇n̡͎v͓̱", "Z\u0351\u036b\u0343\u036a\u0302", "a" + "\u0301" * 200, "\u0301", "\u0301a",
    "ᵃ\u1e00", "аррӏе", "pаypal", "раураl.com", "ｐａｙｐａｌ", "gооgle", "𝓹𝓪𝔂", "l1I|", "rn m", "０Ｏ", "ο о o", "ѕсоре",
    "null", "NULL", "None", "undefined", "true", "false", "NaN", "Infinity", "0", "-0", "1e1000", "0x0", "[]", "{}",
    '""', "''", "nil", "(null)", "#N/A", "\\N", "\\", "\\\\", "\\n", "\\u0000", "\\x00", "\\ud800", "%00", "%u0000",
    " ", "  ", " x", "x ", "\t", "\n", "\r", "\r\n", "x\ny", "x\ry", "x\ty", "\n\n\n", "\u00a0", "\u2003x\u2003", "\x7f",
    "a" * 4_000, "🦆" * 1_000, "\u0301" * 1_000, "<" * 1_000, "\"" * 1_000, "\\" * 1_000, "\n" * 1_000, "'" * 1_000,
    "Penistone", "Scunthorpe", "Dick", "Nothing", "Test", "O'Brien", "D’Arcy", "von und zu", "X Æ A-12", "Ng", "Y",
    "\U0010fffd", "\ue000", "\uf8ff", "\ufffd", "\ufffc", "\u0080", "\u009f", "\u2028", "\u2029", "\u0085", "\x1b", "\x1f",
)  # fmt: skip

TEXTS: tuple[str, ...] = tuple(dict.fromkeys((
    *_WRITTEN, *(f"a{each}b" for each in _FORMAT), *(f"a{each}b" for each in _CONTROL),
    *(f"a{each}b" for each in _NONE),
)))  # fmt: skip

NO_NAMES: tuple[str, ...] = ("", *(f"a{each}b" for each in ("\x00", *_CONTROL[:31])), *_CONTROL[:31],
                             "a" * 201, "\u00e9" * 201, "🦆" * 201, "a" * 60_000)  # fmt: skip
"""What a name on a line of its own cannot be."""

_HALVES = ("\ud800", "\udbff", "\udc00", "\udfff", "\ud83e", "\udd86", "\ud800\ud800", "\udc00\ud800",
           "\udfff\ud800", "a\ud800", "\ud800a", "a\udfffb", "\ud83e x", "x\udd86")  # fmt: skip
HALVES: tuple[bytes, ...] = tuple(
    b'"' + each.encode("utf-16-be", "surrogatepass").hex(" ", 2).replace(" ", "\\u").join(("\\u", "")).encode() + b'"'
    for each in _HALVES
)  # fmt: skip
"""Halves of characters, as JSON writes them."""

_BYTES = (
    "80 bf c0 c1 f5 f8 fc fe ff c0.80 c0.af c1.bf e0.80.80 e0.80.af e0.9f.bf f0.80.80.80 f0.80.80.af f0.8f.bf.bf "
    "f8.80.80.80.af fc.80.80.80.80.af ed.a0.80 ed.ad.bf ed.ae.80 ed.af.bf ed.b0.80 ed.be.80 ed.bf.bf "
    "ed.a0.80.ed.b0.80 ed.af.bf.ed.bf.bf f4.90.80.80 f7.bf.bf.bf c3 c3.28 e2.82 e2.28.a1 e2.82.28 f0.9f f0.9f.a6 "
    "f0.28.8c.bc f0.90.28.bc f0.28.8c.28 e9 a3 93.94 fe.ff ff.fe ef.bb 81.30.81.30 1b.24.42 8f.a1"
)  # fmt: skip
NO_UTF8: tuple[bytes, ...] = tuple(
    bytes.fromhex(each.replace(".", "")) for each in _BYTES.split() if each != "1b.24.42"
)
