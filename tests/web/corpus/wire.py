"""What is no request of HTTP, or one that two readers would read in two ways. Each has `{token}`
where who asks is said."""

from itertools import product

_HEAD = b"Host: localhost\r\nAuthorization: Bearer {token}\r\n"
_PATH = b"/api/v1/accounts"
_BODY = b'{"name":"smuggled"}'
_SECOND = b"POST /api/v1/accounts HTTP/1.1\r\n" + _HEAD + (
    b"Content-Type: application/json\r\nContent-Length: 19\r\n\r\n" + _BODY
)  # fmt: skip


def _get(more: bytes = b"", path: bytes = _PATH, line: bytes | None = None) -> bytes:
    first = b"GET " + path + b" HTTP/1.1" if line is None else line
    return first + b"\r\n" + _HEAD + more + b"Connection: close\r\n\r\n"


def _post(more: bytes, body: bytes) -> bytes:
    return (b"POST " + _PATH + b" HTTP/1.1\r\n" + _HEAD + b"Content-Type: application/json\r\n" + more
            + b"Connection: close\r\n\r\n" + body)  # fmt: skip


_LINES = (
    b"GET", b"GET ", b"GET /", b"GET / ", b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b" GET / HTTP/1.1", b"GET / HTTP/1.1 x",
    b"GET\t/\tHTTP/1.1", b"GET / http/1.1", b"GET / HTTP/1", b"GET / HTTP/11", b"GET / HTTP/1.10", b"GET / HTTP/1.x",
    b"GET / HTTP/0.9", b"GET / HTTP/2.0", b"GET / HTTP/3", b"GET / HTTP/9.9", b"GET / HTP/1.1", b"GET / HTTPS/1.1",
    b"GET / HTTP/-1.1", b"GET / HTTP/ 1.1", b"GET / HTTP/1 .1", b"GET / HTTP/1.1.1", b"GET / HTTP/", b"GET HTTP/1.1",
    b"/ HTTP/1.1", b"HTTP/1.1 200 OK", b"HTTP/1.1", b"PRI * HTTP/2.0", b"GET * HTTP/1.1", b"OPTIONS * HTTP/1.1",
    b"CONNECT localhost:22 HTTP/1.1", b"CONNECT / HTTP/1.1", b"TRACE / HTTP/1.1", b"TRACK / HTTP/1.1", b"DEBUG / HTTP/1.1",
    b"G\x00ET / HTTP/1.1", b"G\xffT / HTTP/1.1", b"G(T / HTTP/1.1", b"G:T / HTTP/1.1", b"g / HTTP/1.1", b"get / HTTP/1.1",
    b"GE T / HTTP/1.1", b"G\x7fT / HTTP/1.1", b"\x00 / HTTP/1.1", b"GET\x0b/ HTTP/1.1", b"GET /\x00 HTTP/1.1",
    b"GET /\x01 HTTP/1.1", b"GET /\x7f HTTP/1.1", b"GET /\xff HTTP/1.1", b"GET /\xc3\xa9 HTTP/1.1", b"GET /\\ HTTP/1.1",
    b"GET accounts HTTP/1.1", b"GET localhost HTTP/1.1", b"GET //localhost/ HTTP/1.1", b"GET http:// HTTP/1.1",
    b"GET http:///x HTTP/1.1", b"GET http://evil.example/ HTTP/1.1", b"GET http://[::1 HTTP/1.1", b"GET file:///etc/passwd HTTP/1.1",
    b"GET gopher://x/ HTTP/1.1", b"GET http://a@b/ HTTP/1.1", b"GET ?x HTTP/1.1", b"GET # HTTP/1.1", b"GET /# HTTP/1.1",
    b"GET /" + b"a" * 9_000 + b" HTTP/1.1", b"G" * 9_000 + b" / HTTP/1.1", b"GET /?" + b"a" * 9_000 + b" HTTP/1.1",
    b"M" * 40 + b" / HTTP/1.1", b"PROPFIND / HTTP/1.1", b"MKCOL / HTTP/1.1", b"LOCK / HTTP/1.1", b"PURGE / HTTP/1.1",
    b"SEARCH / HTTP/1.1", b"QUERY / HTTP/1.1", b"PATCH / HTTP/1.1", b"PUT / HTTP/1.1", b"DELETE / HTTP/1.1",
)  # fmt: skip

_PATHS = tuple(_PATH + each for each in (
    b"/", b"//", b"/.", b"/..", b"/./", b"/../", b"/%2e", b"/%2e%2e", b"/%2e%2e/", b"/..%2f", b"/%2f", b"%2f", b"%00", b"/%00",
    b";", b";x=1", b"/;", b";/../x", b"%3b", b"%3f", b"%23", b"%20", b"%09", b"%0a", b"%0d%0a", b"%0d%0aX:y", b"%ff", b"%c0%af",
    b"%c0%ae%c0%ae", b"%e0%80%af", b"%u002e", b"%", b"%2", b"%zz", b"%%", b"%25", b"%252e%252e", b"/~", b"/*", b"/$", b"/@", b"/:",
    b"/|", b"/^", b"/`", b"/{}", b"/[]", b"/<x>", b"/\"", b"/'", b"/%5c..", b"/..%5c", b"/\\..\\", b".json", b".xml", b"~", b".bak",
    b"?", b"??", b"?&", b"?=", b"?a", b"?a=", b"?=a", b"?limit", b"?limit=", b"?limit=1&limit=2", b"?limit=1;limit=2",
    b"?limit[]=1", b"?limit[$gt]=1", b"?a=%", b"?a=%zz", b"?a=%ff", b"?a=%00", b"?%00=a", b"?__proto__=1", b"?a.b=1", b"?a=1#b",
    b"?callback=x", b"?_method=DELETE", b"?access_token=x", b"?tenant_id=x", b"?a=" + b"b" * 3_000, b"?" + b"a=1&" * 1_000,
)) + tuple(b"/api/" + each for each in (
    b"", b"v1", b"v1/", b"v0/accounts", b"v2/accounts", b"V1/accounts", b"v1/Accounts", b"v1/ACCOUNTS", b"v1//accounts",
    b"./v1/accounts", b"../api/v1/accounts", b"v1/../v1/accounts", b"%761/accounts", b"v1/%61ccounts", b"v1/accounts%2f..",
)) + tuple(b"/" + each for each in (
    b".env", b".git/config", b"admin", b"wp-login.php", b"phpinfo.php", b"server-status", b"actuator/env", b"debug", b"console",
    b"graphql", b"swagger.json", b"api-docs", b".well-known/security.txt", b"robots.txt", b"crossdomain.xml", b"static/",
    b"static/../app.py", b"static/%2e%2e/app.py", b"static/..%2fapp.py", b"static//etc/passwd", b"static/%00", b"static/.",
    b"static/vendor", b"static/..%5capp.py", b"metrics/..", b"health/../metrics", b"docs/", b"docs/..", b"openapi.json/",
))  # fmt: skip

_NAMES = tuple(b"X" + bytes([sign]) + b"Y: z\r\n" for sign in (*range(9), 11, 12, *range(14, 33), *b'"(),/:;<=>?@[\\]{}', 127, 128, 255)
               if sign not in b":")  # fmt: skip
_VALUES = tuple(
    b"X-Y: a" + bytes([sign]) + b"b\r\n"
    for sign in (*range(9), 11, 12, *range(14, 32), 127, 128, 255)
)
_FOLDED = (
    b"X: a\r\n b\r\n", b"X: a\r\n\tb\r\n", b" X: a\r\n", b"\tX: a\r\n", b"X : a\r\n", b"X\t: a\r\n", b": a\r\n", b"X\r\n", b"X a\r\n",
    b"X: a\nY: b\r\n", b"X: a\rY: b\r\n", b"\r\n", b"X: a\n\r\n", b"X:\x00\r\n", b"X: a\x00\r\n", b"X: \r\n", b"X:\r\n", b"X:a\r\n",
    b"X: " + b"a" * 9_000 + b"\r\n", b"X: " + b"a" * 70_000 + b"\r\n", b"X: a\r\n" * 200, b"X" * 9_000 + b": a\r\n",
    b"X: " + bytes(range(128, 256)) + b"\r\n",
)  # fmt: skip

_LENGTHS = tuple(_post(b"Content-Length: " + said + b"\r\n", _BODY) for said in (
    b"", b" ", b"-1", b"-0", b"+19", b"19 ", b" 19", b"0x13", b"1e1", b"1.9", b"19.0", b"19,19", b"19, 20", b"19;", b"019", b"0019", b"1_9",
    b"nineteen", b"NaN", b"99999999999999999999", b"18446744073709551616", b"-9223372036854775808", b"\xd9\xa1\xd9\xa9", b"19\x00",
    b"19\x0b", b"\x0b19", b"18", b"20", b"0", b"1", b"1000", b"70000", b"99999999",
)) + tuple(_post(b"".join(b"Content-Length: " + each + b"\r\n" for each in pair), _BODY) for pair in (
    (b"19", b"19"), (b"19", b"20"), (b"20", b"19"), (b"0", b"19"), (b"19", b"0"), (b"19", b""), (b"", b"19"), (b"19", b"-1"),
))  # fmt: skip

_CODINGS = (
    b"chunked", b"Chunked", b"CHUNKED", b" chunked", b"chunked ", b"\tchunked", b"\x0bchunked", b"chunked\x0b", b"chunked,", b",chunked",
    b"chunked, chunked", b"chunked;q=1", b"chunked; x", b"identity", b"identity, chunked", b"chunked, identity", b"gzip", b"gzip, chunked",
    b"x", b"x, chunked", b"", b"\x00chunked", b'"chunked"', b"chunke", b"chunkedx", b"ch unked", b"xchunked", b"\xffchunked",
)  # fmt: skip
# A second request hides where one reader sees the end of the first, and another does not.
_HIDDEN = tuple(
    _post(b"Content-Length: %d\r\nTransfer-Encoding: " % (5 + len(_SECOND)) + coding + b"\r\n", b"0\r\n\r\n" + _SECOND)
    for coding in _CODINGS
) + tuple(
    _post(b"Transfer-Encoding: " + coding + b"\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + _SECOND) for coding in _CODINGS[:12]
) + tuple(
    _post(name + b": chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + _SECOND)
    for name in (b"Transfer-Encoding ", b" Transfer-Encoding", b"Transfer_Encoding", b"Transfer-Encoding\x00", b"X: y\nTransfer-Encoding",
                 b"X: y\rTransfer-Encoding", b"\x00Transfer-Encoding", b"Transfer\xadEncoding", b"Transfer-Encoding\t")
)  # fmt: skip
_CHUNKS = tuple(_post(b"Transfer-Encoding: chunked\r\n", body) for body in (
    b"", b"\r\n", b"0", b"0\r\n", b"z\r\n", b"-1\r\n", b"+13\r\n" + _BODY, b"0x13\r\n" + _BODY + b"\r\n0\r\n\r\n", b"13 \r\n" + _BODY,
    b" 13\r\n" + _BODY + b"\r\n0\r\n\r\n", b"13", b"13\r\n", b"13\r\n{", b"13\r\n" + _BODY, b"13\r\n" + _BODY + b"\r\n", b"13\n" + _BODY + b"\n0\n\n",
    b"13\r\n" + _BODY + b"0\r\n\r\n", b"12\r\n" + _BODY + b"\r\n0\r\n\r\n", b"14\r\n" + _BODY + b"\r\n0\r\n\r\n", b"ffffffffffffffff\r\n" + _BODY,
    b"10000000000000000\r\n" + _BODY, b"1" * 100 + b"\r\n" + _BODY, b"13;" + b"x" * 70_000 + b"\r\n" + _BODY + b"\r\n0\r\n\r\n", b"13;\x00\r\n" + _BODY,
    b"1_3\r\n" + _BODY + b"\r\n0\r\n\r\n", b"13\r\r\n" + _BODY, b"13\r\n" + _BODY + b"\r\r\n0\r\n\r\n", b"\r\n13\r\n" + _BODY + b"\r\n0\r\n\r\n",
    b"13\r\n" + _BODY + b"\r\n0\r\nX: y", b"13\r\n" + _BODY + b"\r\n0\r\nContent-Length: 5\r\n", b"\xd9\xa1\r\n", b"0;a\r\nb\r\n\r\n",
))  # fmt: skip
_HOSTS = tuple(b"GET " + _PATH + b"x HTTP/1.1\r\n" + each + b"Connection: close\r\n\r\n" for each in (
    b"", b"Host:\r\n", b"Host: \r\n", b"Host: a b\r\n", b"Host: a\r\nHost: b\r\n", b"Host: a, b\r\n", b"Host: evil.example\r\n",
    b"Host: http://a\r\n", b"Host: a/b\r\n", b"Host: a?b\r\n", b"Host: a#b\r\n", b"Host: a@b\r\n", b"Host: a:b\r\n", b"Host: a:-1\r\n",
    b"Host: a:99999999\r\n", b"Host: [::1\r\n", b"Host: ]\r\n", b"Host: <x>\r\n", b"Host: \xff\r\n", b"Host: a\x00b\r\n", b"Host: " + b"a" * 9_000 + b"\r\n",
    b"Host: '\r\n", b"Host: ..\r\n", b"Host: %00\r\n", b"Host: a\\b\r\n", b"Host: localhost\r\nX-Forwarded-Host: evil.example\r\n",
    b"Host: localhost\r\nForwarded: for=1.2.3.4;host=evil.example\r\n", b"Host: localhost\r\nX-Forwarded-For: 1.2.3.4, ' or 1=1\r\n",
    b"Host: localhost\r\nX-Original-URL: /api/v1/me\r\n", b"Host: localhost\r\nX-Rewrite-URL: /api/v1/me\r\n",
    b"Host: localhost\r\nX-Forwarded-Prefix: /x\r\n", b"Host: localhost\r\nX-HTTP-Method-Override: DELETE\r\n",
    b"Host: localhost\r\nX-Forwarded-Proto: gopher\r\n", b"Host: localhost\r\nX-Real-IP: \x27\r\n",
))  # fmt: skip
_OTHER = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), b"\x00", b"\x00" * 1_000, b"\xff" * 1_000, b"\r\n", b"\r\n\r\n", b"\n\n", b"\n",
    b"SSH-2.0-x\r\n", b"EHLO x\r\n", b"*1\r\n$4\r\nPING\r\n", b"\x80\x2e\x01\x03\x01", b"PUT\x00/\r\n\r\n", b"USER x\r\n", b"{}\r\n\r\n", b"<?xml?>\r\n\r\n",
    b"\x00\x00\x00\x08\x04\xd2\x16\x2f", bytes(range(256)), b"GET / HTTP/1.1\n\n", b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\r\n\r\n",
    b"GET / HTTP/1.1\rHost: a\r\r", b"A" * 70_000, b"A: b\r\n\r\n", b"\x05\x01\x00", b"\x04\x01\x00\x50", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n\r\n",
    b"\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x00", b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nHTTP2-Settings: x\r\n\r\nPRI",
    b"GET /api/v1/accounts HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nConnection: close\r\n\r\n",
    b"GET /api/v1/accounts HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n",
    b"GET /api/v1/accounts HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,2-3,4-5,x\r\nConnection: close\r\n\r\n",
    b"GET /api/v1/accounts HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: never\r\nIf-None-Match: *\r\nConnection: close\r\n\r\n",
    b"GET /api/v1/accounts HTTP/1.1\r\nHost: a\r\nCookie: " + b"a=b; " * 1_000 + b"\r\nConnection: close\r\n\r\n",
    b"GET /api/v1/accounts HTTP/1.1\r\nHost: a\r\nAccept: application/xml\r\nAccept-Language: ../../etc\r\nConnection: close\r\n\r\n",
)  # fmt: skip

RAW: tuple[bytes, ...] = tuple(dict.fromkeys((
    *(_get(line=line) for line in _LINES), *(_get(path=path) for path in _PATHS), *map(_get, _NAMES), *map(_get, _VALUES), *map(_get, _FOLDED),
    *_LENGTHS, *_HIDDEN, *_CHUNKS, *_HOSTS, *_OTHER,
    *(_get(name + b": " + value + b"\r\n") for name, value in product(
        (b"X-Tenant-Id", b"X-Request-Id", b"Idempotency-Key", b"Content-Type", b"Origin", b"Accept-Encoding"),
        (b"", b"'", b"\xff", b"a" * 5_000, b"../../x", b"<script>", b"%0d%0aX: y", b"\t", b"{{7*7}}", b"${jndi:x}"))),
)))  # fmt: skip
"""A GET that is understood all the same may be answered; nothing may be written by any of them but
by what is the plain POST of the account `smuggled`."""
