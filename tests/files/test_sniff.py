"""What a file is by its bytes, and what its name and its sender may say of it."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finora_core.files.model import MAX_NAME, BadFileName, clean_name
from finora_core.files.sniff import HEAD, KINDS, UNKNOWN_MEDIA_TYPE, Reason, Verdict, judge

XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def archive(*names: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        for name in names:
            file.writestr(name, b"x")
    return written.getvalue()


CSV = b"Date,Amount,Description\n2026-01-01,-1.00,<script>alert(1)</script>\n"
OFX1 = b"OFXHEADER:100\r\nDATA:OFXSGML\r\n\r\n<OFX><SIGNONMSGSRSV1>"
OFX2 = b'<?xml version="1.0"?>\n<?OFX OFXHEADER="200"?>\n<OFX>'
QIF = b"!Type:Bank\nD01/01/2026\nT-1.00\n^\n"
CAMT = b'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02">'
MT940 = b"\x01{1:F01BANKDEFFXXXX0000000000}{4:\r\n:20:STARTUMS\r\n"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0"
WEBP = b"RIFF\x24\0\0\0WEBPVP8 "
XLSX = archive("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml")
ZIP = archive("statement.xml")

TAKEN = [
    (CSV, "a.csv", "text/csv", "text/csv"),
    (CSV, "A.CSV", None, "text/csv"),
    (CSV, "a.csv", "application/vnd.ms-excel", "text/csv"),
    (CSV, "a.csv", "text/plain; charset=utf-8", "text/csv"),
    (CSV, "a.csv", "application/octet-stream", "text/csv"),
    (CSV, "a", "text/csv", "text/csv"),
    (CSV, "a.txt", "text/csv", "text/plain"),
    (b"\xef\xbb\xbf" + CSV, "a.csv", "", "text/csv"),
    (b"\xff\xfe" + CSV.decode().encode("utf-16-le"), "a.csv", None, "text/csv"),
    ("Größe;Betrag\n".encode("cp1252"), "a.csv", None, "text/csv"),
    (b"MZ;Betrag\n", "a.csv", None, "text/csv"),
    (MT940, "a.sta", None, "text/plain"),
    (MT940, "umsatz.20260101", None, "text/plain"),
    (OFX1, "a.ofx", "application/x-ofx", "application/x-ofx"),
    (OFX1, "a.qfx", "application/vnd.intu.qfx", "application/x-ofx"),
    (OFX2, "a.ofx", "text/xml", "application/x-ofx"),
    (OFX2, "a.xml", "application/xml", "application/x-ofx"),
    (OFX1, "a.txt", "text/plain", "application/x-ofx"),
    (QIF, "a.qif", "application/qif", "application/qif"),
    (CAMT, "a.xml", "application/xml", "application/xml"),
    (CAMT, "a.camt", None, "application/xml"),
    (PDF, "a.pdf", "application/pdf", "application/pdf"),
    (PDF, "a", None, "application/pdf"),
    (PNG, "a.png", "image/png", "image/png"),
    (JPEG, "a.jpg", "image/jpeg", "image/jpeg"),
    (JPEG, "a.jpeg", "image/jpg", "image/jpeg"),
    (WEBP, "a.webp", "image/webp", "image/webp"),
    (XLSX, "a.xlsx", XLSX_TYPE, XLSX_TYPE),
    (ZIP, "a.zip", "application/x-zip-compressed", "application/zip"),
    (archive(), "a.zip", None, "application/zip"),
]

SET_ASIDE = [
    (b"MZ\x90\0\x03\0", "a.csv", None, Reason.EXECUTABLE),
    (b"\x7fELF\x02\x01\x01\0", "a.pdf", None, Reason.EXECUTABLE),
    (b"\xcf\xfa\xed\xfe\x07\0", "a", None, Reason.EXECUTABLE),
    (b"\xca\xfe\xba\xbe\0\0", "a", None, Reason.EXECUTABLE),
    (b"\0asm\x01\0\0\0", "a", None, Reason.EXECUTABLE),
    (b"#!/bin/sh\nrm -rf\n", "a.csv", None, Reason.EXECUTABLE),
    (b"@echo off\r\n", "a.txt", None, Reason.EXECUTABLE),
    (b"<?php system($_GET[0]);", "a.txt", None, Reason.EXECUTABLE),
    (archive("META-INF/MANIFEST.MF", "A.class"), "a.zip", None, Reason.EXECUTABLE),
    (CSV, "invoice.csv.exe", None, Reason.EXECUTABLE),
    (PDF, "invoice.pdf.js", None, Reason.EXECUTABLE),
    (b"<!DOCTYPE html><title>x", "a.txt", None, Reason.ACTIVE_CONTENT),
    (b"\xef\xbb\xbf \r\n<HTML><BODY>", "a.csv", None, Reason.ACTIVE_CONTENT),
    (b"\xff\xfe" + "<html>".encode("utf-16-le"), "a.txt", None, Reason.ACTIVE_CONTENT),
    (b"<!-- x --><body onload=alert(1)>", "a.txt", None, Reason.ACTIVE_CONTENT),
    (b"<img src=x onerror=alert(1)>", "a.txt", None, Reason.ACTIVE_CONTENT),
    (b"<svg onload=alert(1)>", "a.xml", None, Reason.ACTIVE_CONTENT),
    (b'<?xml version="1.0"?><x:svg xmlns:x="http://www.w3.org/2000/svg"/>', "a.xml", None,
     Reason.ACTIVE_CONTENT),
    (b'<?xml version="1.0"?><?xml-stylesheet href="x.xsl"?><a/>', "a.xml", None,
     Reason.ACTIVE_CONTENT),
    (b'<a xmlns:h="http://www.w3.org/1999/xhtml"><h:script>', "a.xml", None,
     Reason.ACTIVE_CONTENT),
    (CSV, "a.html", None, Reason.ACTIVE_CONTENT),
    (CAMT, "a.svg", None, Reason.ACTIVE_CONTENT),
    (archive("[Content_Types].xml", "xl/vbaProject.bin"), "a.xlsx", None, Reason.ACTIVE_CONTENT),
    (archive("[Content_Types].xml", "word/document.xml"), "a.zip", None, Reason.UNKNOWN_TYPE),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.xls", None, Reason.UNKNOWN_TYPE),
    (b"GIF89a\x01\0\x01\0", "a.png", None, Reason.UNKNOWN_TYPE),
    (b"\0\0\0\0", "a.csv", None, Reason.UNKNOWN_TYPE),
    (PDF, "a.png", None, Reason.NAME_MISMATCH),
    (PNG, "a.jpg", None, Reason.NAME_MISMATCH),
    (ZIP, "a.xlsx", None, Reason.NAME_MISMATCH),
    (XLSX, "a.zip", None, Reason.NAME_MISMATCH),
    (CSV, "a.pdf", None, Reason.NAME_MISMATCH),
    (OFX1, "a.csv", None, Reason.NAME_MISMATCH),
    (CSV, "a.qif", None, Reason.NAME_MISMATCH),
    (PDF, "a.pdf", "image/png", Reason.TYPE_MISMATCH),
    (CSV, "a.csv", "application/pdf", Reason.TYPE_MISMATCH),
    (CSV, "a.csv", "text/html", Reason.TYPE_MISMATCH),
    (PNG, "a", "text/plain", Reason.TYPE_MISMATCH),
]  # fmt: skip


@pytest.mark.spec("S4-65", partial=True)
@pytest.mark.spec("S2-47", partial=True)
@pytest.mark.parametrize(("head", "name", "claimed", "media_type"), TAKEN)
def test_what_finora_takes(head: bytes, name: str, claimed: str | None, media_type: str) -> None:
    assert judge(head[:HEAD], name, claimed) == Verdict(media_type)


@pytest.mark.spec("S4-65", partial=True)
@pytest.mark.spec("S2-47", partial=True)
@pytest.mark.parametrize(("head", "name", "claimed", "reason"), SET_ASIDE)
def test_what_is_set_aside(head: bytes, name: str, claimed: str | None, reason: Reason) -> None:
    assert judge(head[:HEAD], name, claimed) == Verdict(UNKNOWN_MEDIA_TYPE, reason)


@given(st.binary(max_size=200), st.text(max_size=20), st.none() | st.text(max_size=20))
def test_any_bytes_have_a_verdict(head: bytes, name: str, claimed: str | None) -> None:
    verdict = judge(head, name, claimed)
    known = {kind.media_type for kind in KINDS}
    assert (verdict.media_type in known) == (verdict.reason is None)


@pytest.mark.spec("S4-65", partial=True)
@pytest.mark.parametrize(
    ("name", "shown"),
    [("a.csv", "a.csv"), ("../../etc/passwd", "passwd"), ("/etc/passwd", "passwd"),
     ("C:\\Users\\me\\a.csv", "a.csv"), ("..\\..\\a.csv", "a.csv"), ("a\0b\n.csv", "ab.csv"),
     ("  Umsätze März.csv ", "Umsätze März.csv"), (".htaccess", ".htaccess"),
     ("gpj.\u202efdp.exe", "gpj.fdp.exe"), ("\ud800a", "a"),
     ("x" * 300 + ".csv", "x" * 196 + ".csv"),
     ("x" * 300, "x" * 200), ("x." + "y" * 300, "x." + "y" * 198)],
)  # fmt: skip
def test_a_name_is_its_last_part(name: str, shown: str) -> None:
    assert clean_name(name) == shown


@pytest.mark.spec("S4-65", partial=True)
@pytest.mark.parametrize("name", ["", " ", ".", "..", "../..", "a/", "a\\", "\0", "\n", " . "])
def test_a_file_without_a_name_is_refused(name: str) -> None:
    with pytest.raises(BadFileName):
        clean_name(name)


@given(st.text(max_size=500))
def test_a_clean_name_stays_as_it_is(name: str) -> None:
    try:
        shown = clean_name(name)
    except BadFileName:
        return
    assert 1 <= len(shown) <= MAX_NAME and shown.isprintable() and not set(shown) & set("/\\")
    assert clean_name(shown) == shown
