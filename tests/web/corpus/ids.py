"""What is no id of ours."""

_ID = "01a1fcea-2975-79f6-8951-17db3f6ce9dd"

IDS: tuple[str, ...] = tuple(dict.fromkeys((
    "", " ", "0", "1", "-1", "null", "None", "undefined", "NaN", "true", "me", "self", "all", "*", "%",
    "_", "%%", "a" * 36, "-" * 36, "0" * 32, "0" * 35, "0" * 37, _ID.replace("-", ""), f"{{{_ID}}}",
    f"({_ID})", f"[{_ID}]", f"<{_ID}>", f"'{_ID}'", f'"{_ID}"', f"urn:uuid:{_ID}", f"uuid:{_ID}",
    f"{_ID} ", f" {_ID}", f"{_ID}\n", f"\n{_ID}", f"{_ID}\x00", f"{_ID}\t", f"{_ID},{_ID}",
    f"{_ID};{_ID}", f"{_ID}/", f"/{_ID}", f"{_ID}/..", f"../{_ID}", f"{_ID}?", f"{_ID}#", f"{_ID}%00",
    f"{_ID}--", f"{_ID}' or '1'='1", f"{_ID}) or (1=1", f"{_ID}\u200b", f"\ufeff{_ID}", f"{_ID}\u202e",
    _ID[:-1], _ID[1:], f"{_ID}0", f"0{_ID}", _ID.replace("-", "_"), _ID.replace("-", ":"),
    _ID.replace("-", "\u2010"), _ID.replace("-", "\u2212"), _ID.replace("-", "--"), _ID.replace("a", "g"),
    _ID.replace("0", "\u0660"), _ID.replace("0", "\uff10"), _ID.replace("0", "O"), _ID.replace("1", "l"),
    _ID.replace("e", "\u0435"), _ID.replace("-", " "), _ID.replace("-", ""), _ID[:8], _ID[:23],
    "01a1fcea-297579f6-8951-17db3f6ce9dd", "01a1fcea-2975-79f6-895117db3f6ce9dd", "1" * 5_000,
    "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "file:///etc/passwd", "http://127.0.0.1/",
    "1 or 1=1", "1; drop table finora.person", "' or 1=1 --", "{{7*7}}", "${7*7}", "$(id)", "`id`",
    "<script>alert(1)</script>", "\x00", "\x7f", "\u2028", "\U000e0041", "🦆", "é", "e\u0301",
    "0x01a1fcea297579f6895117db3f6ce9dd", "Aaf86il1efiJURfbP2zp3Q==", "01J7Z8Q4ZK3N4M5P6R7S8T9V0W",
    "507f1f77bcf86cd799439011", "arn:aws:iam::123:user/x", "eip155:1/erc20:0x0", "EUR", "1.0", "1e5",
    *(_ID[:at] + "-" + _ID[at:] for at in (1, 4, 8, 12, 20, 30)),
    *(_ID[:at] + "." + _ID[at + 1 :] for at in range(0, 36, 3)),
    *(_ID[:at] + "%" + _ID[at + 1 :] for at in range(1, 36, 5)),
)))  # fmt: skip
