"""Passwords: what may be one, what is kept of it, and what checking costs whom."""

import json
import os
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finora_adapters.auth.passwords import Argon2Passwords
from finora_core.identity.common_passwords import COMMON, STEMS
from finora_core.identity.verifiers import LoginBusy, PasswordWeak, check_password
from servers import eventually
from shared_data import SHARED, needs_shared

FILE = SHARED / "identity/argon2.json"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text()) if FILE.is_file() else []
PASSWORD = "correct horse battery"


@pytest.fixture
def passwords() -> Iterator[Argon2Passwords]:
    found = Argon2Passwords(8, 1)
    yield found
    found.close()


# --- what may be one -----------------------------------------------------------------------------


@pytest.mark.spec("S2-9", partial=True)
@pytest.mark.parametrize(
    "password",
    ["correct horse", "ten chars!", "x" * 255 + "y", "пароль для всех",
     "日本語のパスワードです長い", "👩‍👩‍👧 family and some", " spaces count "],
)  # fmt: skip
def test_a_password_that_can_be_set(password: str) -> None:
    assert check_password(password) == unicodedata.normalize("NFKC", password)


@pytest.mark.spec("S2-9", partial=True)
@pytest.mark.parametrize(
    ("password", "why"),
    [("", "10 to 256"), ("nine char", "10 to 256"), ("x" * 256 + "y", "10 to 256"),
     ("x" * 1_000_000, "10 to 256"), ("aaaaaaaaaaaa", "repeated"), ("aAaAaAaAaAaA", "repeated"),
     ("ﷺ" * 200, "10 to 256"), ("１２３４５６７８９０", "most used"), ("Password123", "most used"),
     ("QWERTYUIOP", "most used"), ("ada@example.com", "e-mail"), ("ADA@example.COM", "e-mail"),
     ("half a \ud800 character", "whole characters")],
)  # fmt: skip
def test_a_weak_password_is_refused(password: str, why: str) -> None:
    with pytest.raises(PasswordWeak, match=why) as caught:
        check_password(password, "Ada@Example.com")
    assert caught.value.code == "PASSWORD_WEAK"
    # A refusal is logged and shown; what was typed is in neither.
    assert not password or password not in str(caught.value)


def test_the_name_in_an_e_mail_is_no_password() -> None:
    with pytest.raises(PasswordWeak, match="e-mail"):
        check_password("ada.lovelace", "Ada.Lovelace@example.com")
    assert check_password("ada.lovelace", "babbage@example.com")


def test_the_list_of_common_passwords_holds_only_what_could_be_set() -> None:
    assert len(COMMON) > 2_500 and len(STEMS) > 2_500
    assert all(len(each) >= 10 and each == each.casefold() for each in COMMON)
    assert all(4 <= len(each) < 10 and each.isalpha() for each in STEMS)


@pytest.mark.spec("S2-9", partial=True)
@pytest.mark.parametrize(
    "password",
    ["Sunshine2027!", "dragon123456", "2027-Monkey-1", "!!football!!", "Qwerty#202627",
     "princess 99"],
)  # fmt: skip
def test_a_common_word_with_a_year_and_a_sign_is_a_common_password(password: str) -> None:
    with pytest.raises(PasswordWeak, match="most used"):
        check_password(password)


@pytest.mark.parametrize(
    "password",
    ["sunshine and rain", "dragon4829104829", "monkeysunshine", "20272027!!", "Zr8!q2vLm0"],
)
def test_words_that_stand_beside_others_are_none(password: str) -> None:
    assert check_password(password) == password


# --- what is kept --------------------------------------------------------------------------------


@pytest.mark.spec("S2-9", partial=True)
def test_a_password_is_told_from_another(passwords: Argon2Passwords) -> None:
    digest = passwords.hash(PASSWORD)
    assert digest.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert PASSWORD not in digest
    assert passwords.verify(digest, PASSWORD)
    for wrong in ("", PASSWORD + " ", PASSWORD.upper(), PASSWORD + "\0", "x" * 10_000, "\ud800"):
        assert not passwords.verify(digest, wrong)
    assert passwords.hash(PASSWORD) != digest


def test_a_password_is_the_same_however_a_keyboard_composes_it(passwords: Argon2Passwords) -> None:
    digest = passwords.hash(unicodedata.normalize("NFD", "Ångström für alle"))
    assert passwords.verify(digest, unicodedata.normalize("NFC", "Ångström für alle"))
    assert passwords.verify(passwords.hash("１２３４５６７８９０１"), "12345678901")


def test_the_memory_and_rounds_are_those_given(passwords: Argon2Passwords) -> None:
    assert Argon2Passwords().hash(PASSWORD).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    digest = passwords.hash(PASSWORD)
    assert not passwords.outdated(digest)
    for others in (Argon2Passwords(16, 1), Argon2Passwords(8, 2)):
        assert others.outdated(digest)
        assert others.verify(digest, PASSWORD)
    assert passwords.outdated("not a digest")


def test_a_password_too_long_to_be_one_is_not_taken_for_another(
    passwords: Argon2Passwords,
) -> None:
    assert passwords.verify(passwords.hash(""), "")
    assert not passwords.verify(passwords.hash(""), "x" * 257)


def test_what_was_not_checked_is_not_kept(passwords: Argon2Passwords) -> None:
    for password in ("x" * 257, "half a \ud800 character"):
        with pytest.raises(ValueError):  # of the caller's making
            passwords.hash(password)


@pytest.mark.parametrize(
    "kept", ["", "x", "$argon2id$", "$2b$12$" + "a" * 53, "$argon2id$v=19$m=8"]
)
def test_what_is_no_digest_matches_nothing(passwords: Argon2Passwords, kept: str) -> None:
    assert not passwords.verify(kept, PASSWORD)
    assert not passwords.verify(kept, "")


@pytest.mark.spec("S2-11", partial=True)
@pytest.mark.invariant("I-45")
def test_nobody_takes_as_long_as_somebody() -> None:
    passwords = Argon2Passwords(4096, 2)
    digest = passwords.hash(PASSWORD)
    cases = {"nobody": None, "somebody": digest, "broken": "$argon2id$x", "long": digest}
    spent: dict[str, list[int]] = {case: [] for case in cases}
    for _ in range(15):
        for case, kept in cases.items():
            began = time.process_time_ns()
            assert not passwords.verify(kept, "x" * (10_000 if case == "long" else 12))
            spent[case].append(time.process_time_ns() - began)
    # A hash takes milliseconds and everything else microseconds: half would be no hash at all.
    assert min(map(min, spent.values())) > max(map(min, spent.values())) / 2
    passwords.close()


@needs_shared
@pytest.mark.parametrize(
    "vector", VECTORS, ids=lambda each: f"v{each['version']}-m{each['m_kib']}-t{each['t']}"
)
def test_reference_vectors(passwords: Argon2Passwords, vector: dict[str, Any]) -> None:
    if vector["m_kib"] > 300_000 and available_kib() < 3_000_000:
        pytest.skip("a gibibyte is not free")
    assert passwords.verify(vector["encoded"], vector["password"])
    assert passwords.outdated(vector["encoded"])
    if vector["m_kib"] < 1000:
        assert not passwords.verify(vector["encoded"], vector["password"] + "x")
        salted = vector["encoded"].replace("$c29tZXNhbHQ$", "$c29tZXNhbHU$")
        assert not passwords.verify(salted, vector["password"])


def available_kib() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), 0)


# --- what it costs whom --------------------------------------------------------------------------


@pytest.mark.spec("S2-11", partial=True)
def test_whoever_comes_when_too_many_wait_is_told_at_once() -> None:
    passwords = Argon2Passwords(65_536, 3, hashers=1, waiting=2)
    answers: list[bool | LoginBusy] = []
    ready = threading.Barrier(8)

    def ask() -> None:
        ready.wait()
        try:
            answers.append(passwords.verify(None, PASSWORD))
        except LoginBusy as busy:
            answers.append(busy)

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    refused = [answer for answer in answers if isinstance(answer, LoginBusy)]
    # One hash is made and two wait, so at least three get through, and of eight not all.
    assert 1 <= len(refused) <= 5
    assert [answer for answer in answers if answer is False] == [False] * (8 - len(refused))
    assert all(int(str(busy.facts["retry_after"])) >= 1 for busy in refused)
    assert {busy.code for busy in refused} == {"LOGIN_BUSY"}
    # And afterwards there is room again.
    assert not passwords.verify(None, PASSWORD)
    passwords.close()


@pytest.mark.spec("S2-11", partial=True)
def test_an_admission_is_for_all_that_is_done_in_it() -> None:
    passwords = Argon2Passwords(8_192, 1, hashers=1, waiting=0)
    refused: list[LoginBusy] = []

    def ask() -> None:
        try:
            passwords.verify(None, PASSWORD)
        except LoginBusy as busy:
            refused.append(busy)

    def meanwhile() -> int:
        asker = threading.Thread(target=ask)
        asker.start()
        asker.join()
        return len(refused)

    with passwords.admission():
        # Before anything is looked up, between two checks, and after the last of them.
        assert meanwhile() == 1
        assert not passwords.verify(None, PASSWORD)
        with passwords.admission():
            assert passwords.hash(PASSWORD)
        assert meanwhile() == 2
    assert meanwhile() == 2
    assert all(int(str(busy.facts["retry_after"])) >= 1 for busy in refused)
    with pytest.raises(ZeroDivisionError), passwords.admission():
        raise ZeroDivisionError
    assert meanwhile() == 2
    passwords.close()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own there")
def test_hashes_are_made_in_threads_that_others_come_before(passwords: Argon2Passwords) -> None:
    before = set(threading.enumerate())
    passwords.hash(PASSWORD)
    made = [thread for thread in threading.enumerate() if thread not in before]
    assert [thread.name for thread in made] == ["passwords_0"]
    assert made[0].native_id is not None
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert os.getpriority(os.PRIO_PROCESS, made[0].native_id) == min(19, own + 10)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(passwords: Argon2Passwords) -> None:
    digest = passwords.hash(PASSWORD)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if passwords.verify(digest, PASSWORD) else 2
        finally:
            os._exit(code)
    ended: list[int] = []

    def over() -> bool:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            ended.append(os.waitstatus_to_exitcode(status))
        return bool(pid)

    eventually(over, "the child hangs")
    assert ended == [0]
