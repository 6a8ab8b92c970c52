"""Ways to write one mail address, and what is none; passwords that are hard to keep whole."""

TWINS = (
    "ADA@EXAMPLE.ORG", "Ada@Example.Org", "ada@EXAMPLE.org", "ada@ｅｘａｍｐｌｅ.org", "ada@𝐞𝐱𝐚𝐦𝐩𝐥𝐞.org",
    "ada@ⓔⓧⓐⓜⓟⓛⓔ.org", "ada@example。org", "ada@example．org", "ada@eⅹample.org", "ada@exa\u00admple.org",
)  # fmt: skip
"""Ways to write one address, or no address at all; never another one."""

NO_ADDRESSES = (
    "", "a", "@", "a@", "@b", "a@b", "a@@b.org", "a@b@c.org", "a b@c.org", " @c.org", "a@ c.org", "a@c .org", "a@c..org", "a@.org",
    "a@org.", "a@c.org.", ".a@c.org", "a.@c.org", "a..b@c.org", "a@-c.org", "a@c-.org", "a@c_d.org", "a@c.1", "a@1.2.3.4",
    "a@[1.2.3.4]", "a@[IPv6:::1]", "a@localhost", '"a b"@c.org', '"a"@c.org', "a(x)@c.org", "a@c.org(x)", "<a@c.org>",
    "A <a@c.org>", "a@c.org,b@c.org", "a@c.org;b@c.org", "a@c.org b@c.org", "a@c.org\r\nBcc: b@c.org", "a\n@c.org", "a@c.org\n",
    "a@c.org\x00", "a\x00@c.org", "\x00", "a@c.org\t", "mailto:a@c.org", "a@c.org?subject=x", "a@c.org#x", "a@c.org/x",
    "a@c.org:25", "a@c%00.org", "a\\@c.org", "a,b@c.org", "a;b@c.org", "a:b@c.org", "a@c!d.org", "a%@c\u2028.org",
    "\u0430da@example.org", "ad\u0430@example.org", "\u1d00da@example.org", "ａda@example.org", "é@example.org", "ı@example.org",
    "İ@example.org", "ﬁ@example.org", "a\u200b@example.org", "a\u202e@example.org", "\ufeffa@example.org", "a\u00ad@example.org",
    "🦆@example.org", "ad\u0301a@example.org", "a@faß.de", "a@ς.gr", "a@a\u200db.org", "a@a\u200cb.org", "a@xn--.org",
    "a@xn--a\u0080.org", "a@🦆" + "x" * 300 + ".org", "a" * 65 + "@c.org", "a@" + "b" * 64 + ".org", "a@" + "b." * 130 + "org",
    "a" * 300, "@" * 200, "a@b.c" + "d" * 300, "' or 1=1 --@c.org ", "a@c.org' or '1'='1", "a@c.org--", "{{7*7}}@c.org\n",
)  # fmt: skip

PASSWORDS = (
    "ﬁre and wa\u0301ter", "  two blanks around  ", "a\x00b and more of it", "tab\tand\nline feed", "пароль для всех",
    "日本語のパスワードです", "👩‍👩‍👧‍👦 and some", "' or '1'='1' -- x", "x" * 255 + "y", "\u202e turned round",
)  # fmt: skip
