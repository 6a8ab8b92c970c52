"""What is no JSON, or says a thing twice, or another thing than is asked for."""

import json

GOOD = (
    '{"account_id":"%s","on_date":"2026-01-31","amount":{"amount":"-1.00","asset":"EUR"},'
    '"description":"é \\u00e9 \\n","type":"expense"}'
)


def bodies(account_id: str) -> tuple[bytes, ...]:
    """Of the good one that is cut, split, and written as others write."""
    good = (GOOD % account_id).encode()
    said = json.loads(good)
    found: list[bytes] = [good[:end] for end in range(len(good))]
    found += [good[:at] + b"\x00" + good[at:] for at in range(len(good) + 1)]
    found += [good[:at] + b"\xff" + good[at:] for at in range(0, len(good) + 1, 2)]
    found += [good[:at] + good[at + 1 :] for at, sign in enumerate(good) if chr(sign) in '{}:,"']
    found += [good[:at] + b"," + good[at:] for at, sign in enumerate(good) if chr(sign) in "{},"]
    found += [good + tail.encode() for tail in (
        "x", "{}", "[]", "null", ",", "}", "]", '"', "\\", "//", "/* x */", "# x", "\x00", "\ufeff",
        ";", "\n{}", "\x1e{}", "<!-- -->", "\u00a0", "\u2028", "\x0b", "\x0c", "...", "0",
    )]  # fmt: skip
    found += [head + good for head in (
        b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe", b")]}',\n", b"while(1);", b"for(;;);", b"&&&START&&&",
        b"callback(", b"x=", b"//\n", b"/**/", b"#\n", b"\x00", b"\x1e", b"\x0b", b"\x0c", b"\xc2\xa0", b",",
        b"[", b'"', b"{}", b"null",
    )]  # fmt: skip
    text = good.decode()
    found += [text.encode(coding) for coding in (
        "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "latin-1", "cp1252",
        "utf-8-sig", "cp500", "shift_jis_2004", "cp437", "cp850", "iso8859-15", "mac-roman",
    )]  # fmt: skip
    # Names that stand twice: parsers differ in which of them they believe.
    found += [good[:-1] + b"," + json.dumps(name).encode() + b":" + json.dumps(said[name]).encode() + b"}"
              for name in said]  # fmt: skip
    found += [good[:-1] + b',"acc\\u006funt_id":"x"}', good[:-1] + b',"\\u0074ype":"income"}',
              good.replace(b'"asset":"EUR"', b'"asset":"EUR","asset":"USD"'),
              good.replace(b'"asset":"EUR"', b'"asset":"EUR","amount":"9.00"')]  # fmt: skip
    for name in ("__proto__", "constructor", "$ref", "$schema", "@type", "", " ", "Type", "TYPE", "type ",
                 "type\u0000", "accountId", "account-id", "account_id[]", "amount.amount", "id", "_"):  # fmt: skip
        found.append(json.dumps({**said, name: "x"}).encode())
    # Kinds of the whole.
    found += [each.encode() for each in (
        "null", "true", "false", "0", "1", "-1", "1.5", "1e5", '""', '"x"', "[]", "[[]]", "[{}]", "{}",
        "[null]", "NaN", "Infinity", "-Infinity", "undefined", "None", "True", "'x'", "x", "{x:1}", "{'x':1}",
        "{,}", "{:}", '{"a"}', '{"a":}', '{"a":1,}', "[1,]", "[,1]", "[1 2]", '{"a" 1}', '{"a":1 "b":2}',
        "{1:1}", "{null:1}", '{"a":01}', '{"a":+1}', '{"a":1.}', '{"a":.5}', '{"a":0x1}', '{"a":1e}', '{"a":--1}',
        '{"a":"\t"}', '{"a":"\\x"}', '{"a":"\\u12"}', '{"a":"\\ud800"}', '{"a":"\\u{1}"}', '{"a":"\\\n"}', "\\", "\u2028",
        "%7B%7D", "e30=", "a=1&b=2", "<a/>", "---\na: 1", "a: 1", "\x82\xa1a", "\x1f\x8b\x08", "PK\x03\x04",
    )]  # fmt: skip
    found += [b'{"type":' + b"[" * depth + b"]" * depth + b"}" for depth in range(32, 64, 4)]
    found += [b'{"a":' * depth + b"1" + b"}" * depth for depth in range(33, 64, 4)]
    found += [b"[" * 10_000, b'{"a":' * 10_000, b"[" * 30_000 + b"]" * 30_000, b'{"a":"' + b"\\" * 50_001,
              b'{"a":' + b"9" * 5_000 + b"}", b'{"a":1e' + b"9" * 5_000 + b"}", b'{"a":-' + b"0" * 9_000 + b"}",
              b'{"a":[' + b"0," * 20_000 + b"0]}", b'{"' + b"a" * 60_000 + b'":1}',
              b"{" + b",".join(b'"%d":1' % n for n in range(5_000)) + b"}"]  # fmt: skip
    return tuple(dict.fromkeys(found))
