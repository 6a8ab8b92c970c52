"""What is no amount of money, though some parser somewhere takes it for one."""

import unicodedata

_ONES = [chr(code) for code in range(0x80, 0x1FBFF) if unicodedata.digit(chr(code), None) == 1]
_SPACES = [chr(code) for code in range(1, 0x3001) if chr(code).isspace()]
_MINUSES = "\u2212\ufe63\uff0d\u2010\u2011\u2012\u2013\u2014\u2015\u207b\u208b\u02d7\u00ad"
_FRACTIONS = [chr(code) for code in range(0x80, 0x3000) if unicodedata.category(chr(code)) == "No"]

_WRITTEN = """NaN nan sNaN -NaN NaN123 Infinity -Infinity +Infinity infinity inf -inf Inf INF ∞ -∞
1e3 1E3 1e+3 1e-3 1e0 0e0 1e400 1e-400 1e1000000 -1e1000000 1e 1e+ 1.e1 .1e1 1d3 1f 1L 1n 1u 1m 1%
0x10 0X10 0b10 0B10 0o10 010 0010 00 00.1 -00 -01 01 -0x1 1_0 1_000 1__0 _1 1_ 1'000 1’000 1,000
1,5 1.000,00 1,000.00 1.2.3 1..2 .5 5. . .. - -- + +1 +-1 -+1 --1 ++1 1- 1+ -1- (1) (1.00) [1] {1}
1/2 1:2 1;2 1*2 1^2 2**8 1+1 1-1 =1 =1+1 @1 #1 $1 1$ €1 1€ £1 ¥1 1EUR EUR1 1EUR0 USD 1USD 1c 1k 1M
one null None none nil true false True undefined void N/A n/a NULL #N/A #REF! #DIV/0! -nan(ind) 1.#INF
1.#QNAN 1.#IND 0.0.0 0,0 0-0 1e1.5 1e1_0 Decimal('1') Decimal(1) float(1) ${1} {{1}} %d %s 1%00 1\\0
I IV XII 十 一 壱 ½ ⅓ Ⅳ ① ⑴ ⒈ ❶ 1\u0338 1\u200b \u200b1 1\u202e 1\ufeff \ufeff1 1\u00ad 1\u2063 1\u0301
1٫5 1٬000 1·5 1⋅5 1．5 1，5 1。5 1‚5 1˙5 1\u066b0 ١ １ 𝟏 𝟙 ୧ १ ১ ௧ ๑ ໑ ༡ ၁ ១ ᠑""".split()

TEXTS: tuple[str, ...] = tuple(dict.fromkeys((
    *_WRITTEN,
    "", " ", "\t", "\n", "\x00", "1\x00", "\x001", "1\n", "\n1", "1\r\n", "1 000", "1 2", "- 1",
    "1 .0", "1. 0", "1 EUR", "EUR 1", "1 1", "1\n1", "1;drop table", "1 or 1=1", "1' or '1'='1",
    *(f"1{each}" for each in _SPACES), *(f"{each}1" for each in _SPACES),
    *(f"1{each}000" for each in _SPACES),
    *_ONES, *(f"1{each}" for each in _ONES), *(f"1.{each}" for each in _ONES[:20]),
    *(f"{each}1" for each in _MINUSES), *_FRACTIONS,
    # More than a currency's scale, more than there can be, more than can be read quickly.
    *(f"0.{'0' * zeros}1" for zeros in range(2, 60)),
    *(f"1.{'0' * zeros}" for zeros in (79, 80, 100, 1_000, 5_000)),
    *(f"1{'0' * zeros}" for zeros in range(77, 100)),
    "9" * 1_000, "9" * 4_300, "9" * 4_301, "9" * 20_000, "-" + "9" * 5_000, "0" * 10_000 + "1",
    "1" + "0" * 30_000 + "." + "0" * 30_000, "1e" + "9" * 1_000, "." + "0" * 1_000 + "1",
)))  # fmt: skip

RAW: tuple[bytes, ...] = tuple(each.encode() for each in (
    "0 1 -1 1.5 -1.5 0.1 1e3 1E400 1e-400 -0 -0.0 12345678901234567890 true false null [] {} [1] "
    '["1"] [[]] [null] {"amount":"1"} {"":1} [1,2] 1e1000000 0.30000000000000004 9007199254740993 '
    "NaN Infinity -Infinity +1 01 1. .5 0x10 1_0 1,5 1e 1f 1n ' \" \"1 1\" '1' `1` undefined None "
    "True /1/ -- - + . , : ; @ # $ % ^ & * ( ) < >"
).split())  # fmt: skip
"""Of JSON, where a text belongs; some are none of it."""
