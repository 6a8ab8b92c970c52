"""Files that mean harm or are broken, made here, by name: bytes and what must come of them.

Run as a program it imports them all through the public surface and prints one JSON line a file:
what was answered, how much more memory it took at its peak, and whether anything was written.
"""

import io
import json
import signal
import sys
import zipfile
import zlib
from collections.abc import Iterator
from uuid import uuid4

from finora import Finora, ImportRequest, Job, Scope, Settings

OFX = (
    b"OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\n\n<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS>"
    b"<CURDEF>EUR<BANKACCTFROM><BANKID>1<ACCTID>42<ACCTTYPE>CHECKING</BANKACCTFROM><BANKTRANLIST>"
)
OFX_END = b"</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
CAMT = (
    b'<?xml version="1.0"?>%s<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02">'
    b"<BkToCstmrStmt><Stmt><Id>1</Id><Acct><Id><IBAN>DE1</IBAN></Id><Ccy>EUR</Ccy></Acct>%s"
    b"</Stmt></BkToCstmrStmt></Document>"
)
MT940 = b":20:X\n:25:42\n:28C:1/1\n:60F:C260101EUR100,00\n%s:62F:C260131EUR%s\n-\n"
QIF = b"!Type:Bank\n"
CSV = b"Date,Amount,Description\n"
GOOD = CSV + b"2026-01-31,-1.00,good\n"

BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]>"
)


def transaction(amount: bytes, day: bytes = b"20260110") -> bytes:
    return b"<STMTTRN><DTPOSTED>%s<TRNAMT>%s<FITID>1<NAME>x</STMTTRN>" % (day, amount)


def entry(amount: bytes, day: bytes = b"2026-01-10") -> bytes:
    return (
        b'<Ntry><Amt Ccy="EUR">%s</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts>'
        b"<BookgDt><Dt>%s</Dt></BookgDt></Ntry>" % (amount, day)
    )


def zipped(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def corpus() -> Iterator[tuple[str, str, bytes]]:
    """(name, file name, bytes); every one must be refused, or every line of it set aside."""
    for kind, head in (("ofx", OFX), ("xml", CAMT % (b"", b"")), ("sta", MT940 % (b"", b"100,00")),
                       ("qif", QIF), ("csv", CSV)):  # fmt: skip
        yield f"{kind}: empty", f"a.{kind}", b""
        yield f"{kind}: blank", f"a.{kind}", b" \n\r\n\t"
        yield f"{kind}: NUL bytes", f"a.{kind}", head + b"\x00" * 1000
        yield f"{kind}: noise", f"a.{kind}", zlib.compress(head * 100) * 50
        if kind not in ("sta", "csv"):  # these may end anywhere and be a statement without lines
            yield f"{kind}: UTF-16 cut", f"a.{kind}", head.decode().encode("utf-16")[:-1]
    for bad in (b"NaN", b"1e400", b"Infinity", b"9" * 80, b"1_000", b"0x10", b"1.000,00.0"):
        said = bad[:10].decode()
        yield f"ofx: amount {said}", "a.ofx", OFX + transaction(bad) + OFX_END
        yield f"xml: amount {said}", "a.xml", CAMT % (b"", entry(bad))
        line = b":61:260110D%sNTRFX\n:86:x\n" % bad
        yield f"sta: amount {said}", "a.sta", MT940 % (line, b"100,00")
        yield f"qif: amount {said}", "a.qif", QIF + b"D25/12/2026\nT%s\nPx\n^\n" % bad
        yield f"csv: amount {said}", "a.csv", CSV + b"2026-01-10,%s,x\n" % bad
    yield "ofx: 30 February", "a.ofx", OFX + transaction(b"1.00", b"20260230") + OFX_END
    yield "xml: 30 February", "a.xml", CAMT % (b"", entry(b"1.00", b"2026-02-30"))
    yield "csv: 30 February", "a.csv", CSV + b"2026-02-30,1.00,x\n"
    yield "qif: 30 February", "a.qif", QIF + b"D2026-02-30\nT1.00\nPx\n^\n"
    yield "sta: 30 February", "a.sta", MT940 % (b":61:260230D1,00NTRFX\n", b"99,00")
    yield "ofx: cut off", "a.ofx", OFX + transaction(b"1.00")[:-20]
    yield "xml: cut off", "a.xml", (CAMT % (b"", entry(b"1.00")))[:-40]
    yield "ofx: 200,000 unclosed tags", "a.ofx", OFX + b"<A>" * 200_000
    yield "xml: 200,000 unclosed tags", "a.xml", CAMT[:100] % b"" + b"<A>" * 200_000
    yield "xml: entity bomb", "a.xml", CAMT % (BOMB, entry(b"&j;"))
    external = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    yield "xml: external entity", "a.xml", CAMT % (external, entry(b"&a;"))
    yield "ofx: entity declared", "a.ofx", b"<?xml version='1.0'?>" + BOMB + OFX
    yield "sta: wrong control sum", "a.sta", MT940 % (b":61:260110D1,00NTRFX\n", b"98,00")
    yield (
        "csv: an unclosed quote of 50 MB",
        "a.csv",
        CSV + b'2026-01-10,1.00,"' + b"x\n" * 25_000_000,
    )
    yield "csv: one line of 50 MB", "a.csv", CSV + b"2026-01-10,1.00," + b"x" * 50_000_000
    yield "csv: ragged", "a.csv", CSV + b"2026-01-10\n1,2,3,4,5\n,,,\n"
    yield "zip: bomb", "a.zip", zipped(("a.xml", CAMT % (b"", b" " * 200_000_000)))
    inner = zipped(("b.xml", CAMT % (b"", b"")))
    yield "zip: in a zip", "a.zip", zipped(("a.xml", CAMT % (b"", b"")), ("b.zip", inner))
    yield "zip: no XML", "a.zip", zipped(("../../etc/x", b"x"))
    yield "zip: cut off", "a.zip", zipped(("a.xml", CAMT % (b"", entry(b"1.00"))))[:-30]


def peak_kb() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def written(finora: Finora, scope: Scope) -> list[object]:
    return [
        finora.ledger.accounts(scope),
        finora.ledger.trial_balance(scope).lines,
        finora.records.list(scope).items,
    ]


def main(data: str) -> None:
    with Finora.open(Settings(data=data)) as finora:
        for name, file_name, content in corpus():
            scope = finora.scope(tenant=f"t-{uuid4()}", user="u1")
            request = ImportRequest(account="Giro", currency="EUR")
            finora.import_file(scope, io.BytesIO(GOOD), request, name="good.csv")
            before = written(finora, scope)
            with open("/proc/self/clear_refs", "w") as clear:
                clear.write("5")
            started = peak_kb()
            # Two seconds of this process's own time; then the kernel ends it.
            signal.setitimer(signal.ITIMER_PROF, 2.0)
            result = finora.import_file(scope, io.BytesIO(content), request, name=file_name)
            signal.setitimer(signal.ITIMER_PROF, 0)
            grown = (peak_kb() - started) // 1024
            refused = isinstance(result, Job)
            good = finora.import_file(scope, io.BytesIO(GOOD), request, name="good.csv")
            answer = {
                "name": name,
                "code": result.reason if isinstance(result, Job) else None,
                "message": result.message if isinstance(result, Job) else None,
                "state": str(result.state) if isinstance(result, Job) else "done",
                "lines_added": 0 if isinstance(result, Job) else result["added"],
                "set_aside": [] if isinstance(result, Job) else result["set_aside"],
                "grown_mb": grown,
                "changed": refused and written(finora, scope) != before,
                "next_good": not isinstance(good, Job) and good["existing"] == 1,
            }
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
