"""Key-encryption keys and data keys: where they come from, how old they are, others in their place
while people write, processes die, and keys are missing."""

import itertools
import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from finora import Finora, JobState, Scope, Settings
from finora_adapters.crypto.cipher import AesGcm
from finora_adapters.crypto.ring import FILE, secret_keys
from finora_adapters.settings import BadSettings, from_environment, secret_keys_of
from finora_core.kernel.errors import Refusal
from finora_core.secrets.model import SecretKeyMissing, SecretKeyWrong
from own_data import OwnData, key
from together import errors, together

LIVELY = 60.0


def fill(finora: Finora, tenants: int) -> list[tuple[Scope, Any]]:
    found = []
    for number in range(tenants):
        scope = finora.scope(tenant=f"many-{number}", user="u")
        found.append((scope, finora.secrets.put(scope, "kraken", {"a": f"of {number}"})))
    return found


def all_open(finora: Finora, held: list[tuple[Scope, Any]]) -> bool:
    return all(
        finora.secrets.open(scope, secret.id)["a"].reveal() == f"of {number}"
        for number, (scope, secret) in enumerate(held)
    )


def under(own: OwnData) -> dict[int, int]:
    """How many data keys are under which key-encryption key."""
    return dict(own.sql("select kek_version, count(*) from finora.data_key group by 1"))


# --- where they come from ------------------------------------------------------------------------


@pytest.mark.spec("S0-11")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no version"),
        ("x", "64 hexadecimal"),
        (key(1)[2:], "no version"),
        ("0" + key(1)[1:], "no version"),
        ("-" + key(1), "no version"),
        ("01" + key(1)[1:], "no version"),
        ("1" * 19 + key(1)[1:], "no version"),
        (key(1)[:-1], "64 hexadecimal"),
        (key(1) + "0", "64 hexadecimal"),
        (key(1)[:-1] + "g", "64 hexadecimal"),
        (key(1) + ",", "64 hexadecimal"),
        (f"{key(2)},{key(1)},{key(2)}", "key 2 stands twice"),
        ("3:short,3:short", "key 3 stands twice"),
        ("1:" + "00" * 32, "repeats itself"),
        ("1:" + "ab" * 32, "repeats itself"),
        ("1:" + "0123456789abcdef" * 4, "repeats itself"),
        ("2:" + (same := key(1)[2:]) + ",1:" + same.upper(), "same as another"),
    ],
    # The keys are random; every process that runs tests must call them the same.
    ids=itertools.count(),
)
def test_keys_that_are_not_sound_are_refused_without_showing_them(text: str, said: str) -> None:
    with pytest.raises(BadSettings) as caught:
        from_environment({"FINORA_SECRET_KEYS": text})
    [(name, reason)] = caught.value.details
    assert name == "FINORA_SECRET_KEYS" and said in reason
    chain = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__cause__}"
    for part in text.replace(":", ",").split(","):
        assert len(part) < 19 or part not in reason + chain


@pytest.mark.spec("S0-11")
def test_everything_that_is_wrong_with_them_is_said_at_once() -> None:
    with pytest.raises(BadSettings) as caught:
        from_environment({"FINORA_SECRET_KEYS": f"x:zz,{key(2)},2:" + "11" * 32})
    [(_, reason)] = caught.value.details
    for said in ("key in place 1 has no version", "key in place 1 has not 64", "key 2 stands twice",
                 "key 2 repeats itself"):  # fmt: skip
        assert said in reason


@pytest.mark.spec("S0-11")
def test_production_does_not_start_without_them(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        Finora.open(Settings(env="production", data=tmp_path / "data"))
    assert "FINORA_SECRET_KEYS" in dict(caught.value.details)
    assert not (tmp_path / "data").exists()


def test_keys_are_in_the_order_in_which_they_stand() -> None:
    text = f"{key(1)}, {key(12)},{key(3).upper()}\n"
    assert list(secret_keys_of(text)) == [1, 12, 3]


def ring_of(folder: Path) -> Any:
    return secret_keys(Settings(data=folder), AesGcm())


def test_a_laptop_makes_its_own_when_one_is_needed_and_keeps_it(tmp_path: Path) -> None:
    ring, file = ring_of(tmp_path / "data"), tmp_path / "data" / FILE
    assert not file.exists()
    wrapped = ring.wrap(b"k" * 32, b"here")
    assert ring_of(tmp_path / "data").unwrap(wrapped, b"here") == b"k" * 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [FILE]


def test_one_made_after_the_file_was_lost_has_another_version(tmp_path: Path) -> None:
    wrapped = ring_of(tmp_path).wrap(b"k" * 32, b"here")
    (tmp_path / FILE).unlink()
    time.sleep(1.1)
    with pytest.raises(SecretKeyMissing):
        ring_of(tmp_path).unwrap(wrapped, b"here")


def test_processes_that_make_it_at_once_have_one(tmp_path: Path) -> None:
    rings = [ring_of(tmp_path) for _ in range(12)]
    newest = together(*[lambda ring=ring: (ring.newest, ring.check(ring.newest)) for ring in rings])
    assert errors(newest) == []
    assert len(set(newest)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    assert ring_of(tmp_path).newest
    (tmp_path / FILE).chmod(mode)
    with pytest.raises(BadSettings, match="chmod 600"):
        _ = ring_of(tmp_path).newest


@pytest.mark.parametrize("text", ["", "1:abc\n", "\xff\xfe"])
def test_a_damaged_file_is_refused_and_not_replaced(tmp_path: Path, text: str) -> None:
    file = tmp_path / FILE
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(BadSettings, match=r"damaged.*docs/secrets\.md"):
        _ = ring_of(tmp_path).newest
    assert file.read_text() == text


def test_books_open_with_keys_only(own: OwnData) -> None:
    """Warrants are made with them. Where the file was lost another one is made, and serves."""
    (own.folder / FILE).write_text("rubbish")
    (own.folder / FILE).chmod(0o600)
    try:
        with pytest.raises(BadSettings, match="is damaged"), own.open():
            pass
    finally:
        (own.folder / FILE).unlink()
    with own.open() as finora:
        scope = finora.scope(tenant="keyless", user="u")
        finora.ledger.open_account(scope, f"A {time.time_ns()}")
        assert finora.secrets.list(scope) == []


# --- a key that is missing, or another -----------------------------------------------------------


@pytest.mark.spec("S0-11")
@pytest.mark.invariant("I-47")
def test_without_its_key_a_credential_does_not_open_and_all_else_works(own: OwnData) -> None:
    one, two = key(1), key(2)
    with own.open(one) as finora:
        scope = finora.scope(tenant="lost", user="u")
        lost = finora.secrets.put(scope, "kraken", {"a": "x"})
    with own.open(two) as finora:
        with pytest.raises(SecretKeyMissing, match="no key 1"):
            finora.secrets.open(scope, lost.id)
        assert [each.institution for each in finora.secrets.list(scope)] == ["kraken"]
        # Who lost a key has credentials put again: that, and everything else, must work.
        other = finora.secrets.put(scope, "binance", {"a": "y"})
        again = finora.secrets.put(scope, "kraken", {"a": "z"})
        assert finora.secrets.open(scope, other.id)["a"].reveal() == "y"
        assert finora.secrets.open(scope, again.id)["a"].reveal() == "z"
        assert finora.secrets.remove(scope, other.id).id == other.id
        finora.ledger.open_account(scope, f"A {time.time_ns()}")
    assert under(own) == {1: 1, 2: 1}


@pytest.mark.spec("S0-11")
@pytest.mark.invariant("I-47")
def test_another_key_under_a_known_version_seals_nothing(own: OwnData) -> None:
    with own.open(key(1)) as finora:
        scope = finora.scope(tenant="wrong", user="u")
        made = finora.secrets.put(scope, "kraken", {"a": "x"})
    with own.open(key(1)) as finora:
        other = finora.scope(tenant="wrong two", user="u")
        for act in (
            lambda: finora.secrets.open(scope, made.id),
            lambda: finora.secrets.put(scope, "binance", {"a": "y"}),
            lambda: finora.secrets.put(other, "kraken", {"a": "y"}),
            finora.keys.rotate,
        ):
            with pytest.raises(SecretKeyWrong):
                act()
        assert finora.secrets.list(other) == []
    assert under(own) == {1: 1}


def test_doctor_says_which_key_is_missing_or_another(own: OwnData) -> None:
    one, two = key(1), key(2)
    with own.open(one) as finora:
        fill(finora, 1)

    def findings(*keys: str) -> tuple[int, list[str]]:
        done = own.run("doctor", "--json", keys=keys)
        said = json.loads(done.stdout)["findings"]
        return done.returncode, [each["said"] for each in said if each["subject"] == "secret keys"]

    assert findings(two, one) == (0, ["2, 1, the first one wraps"])
    assert findings(two) == (1, ["key 1 is missing, and 1 keys are under it"])
    assert findings(key(1)) == (1, ["key 1 is another one than this database knows"])


# --- another key-encryption key ------------------------------------------------------------------


@pytest.mark.spec("S0-11")
@pytest.mark.spec("S2-8", partial=True)
@pytest.mark.invariant("I-47")
def test_every_key_moves_under_the_newest_and_the_old_one_may_go(own: OwnData) -> None:
    one, two = key(1), key(2)
    with own.open(one) as finora:
        held = fill(finora, 7)
        signed = finora.keys.rotate()[0]
    before = dict(own.sql("select id, wrapped from finora.data_key"))
    with own.open(two, one) as finora:
        assert under(own) == {1: 7}
        seen = []
        job = finora.rewrap_keys(seen.append)
        assert (job.state, job.result) == (JobState.DONE, {"tenants": 7, "keys": 7, "left": 0})
        assert (job.done_parts, job.all_parts) == (7, 7)
        assert (job.name, job.queue) == ("secrets.rewrap", "schedules")
        assert all_open(finora, held)
        again = finora.rewrap_keys()
        assert again.result == {"tenants": 0, "keys": 0, "left": 0}
    after = dict(own.sql("select id, wrapped from finora.data_key"))
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    assert under(own) == {2: 7}
    assert own.sql("select kek_version from finora.signing_key") == [(2,)]
    with own.open(two) as finora:
        assert all_open(finora, held)
        found = finora.keys.signing.find(signed.kid)
        assert found is not None and found.secret == signed.secret


def test_keys_that_do_not_open_are_left_told_of_and_moved_later(own: OwnData) -> None:
    one, two, three = key(1), key(2), key(3)
    with own.open(one) as finora:
        held = fill(finora, 1)
    with own.open(two) as finora:
        scope = finora.scope(tenant="many-1", user="u")
        held.append((scope, finora.secrets.put(scope, "kraken", {"a": "of 1"})))
    with own.open(three, two) as finora:
        job = finora.rewrap_keys()
        assert (job.state, job.reason) == (JobState.REFUSED, "SECRET_KEYS_LEFT")
        assert job.result is not None
        assert job.result["facts"] == {"tenants": 2, "keys": 1, "left": 1}
        assert under(own) == {1: 1, 3: 1}
    done = own.run("keys", "rewrap", "--json", keys=(three, two))
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "SECRET_KEYS_LEFT"
    with own.open(three, one) as finora:
        assert finora.rewrap_keys().state == JobState.DONE
        assert under(own) == {3: 2}
        assert all_open(finora, held)


@pytest.mark.invariant("I-47")
def test_a_process_with_the_keys_of_before_moves_nothing_back(own: OwnData) -> None:
    """A worker that was not restarted takes the job: it is tried again, and nothing moves."""
    one, two = key(1), key(2)
    with own.open(one) as old, own.open(two, one) as new:
        fill(old, 2)
        new.keys.ask_rewrap(new._upkeep)
        assert old.run_jobs() == {"waiting": 1}
        assert under(own) == {1: 2}
        own.sql("update finora.job set run_at = now() where state = 'waiting'")
        assert new.run_jobs() == {"done": 1}
        assert under(own) == {2: 2}


@pytest.fixture
def writing() -> Iterator[threading.Event]:
    over = threading.Event()
    yield over
    over.set()


@pytest.mark.invariant("I-47")
@pytest.mark.parametrize("change", ["rewrap", "reseal"])
def test_keys_change_while_everybody_writes(
    own: OwnData, writing: threading.Event, change: str
) -> None:
    """Puts, removals and openings in the very tenants whose keys change, over and over: whatever is
    there in the end opens, with what was put last."""
    one, two = key(1), key(2)
    with own.open(one) as finora:
        held = fill(finora, 6)
    last: dict[tuple[int, str], str] = {}
    failed: list[Exception] = []
    count = [0] * 4

    with own.open(two, one) as finora:

        def write(worker: int) -> None:
            number = 0
            while not writing.is_set():
                number += 1
                tenant, at = number % 6, f"w{worker}"
                text, scope = f"{worker}/{number}", held[tenant][0]
                try:
                    made = finora.secrets.put(scope, at, {"a": text, "b": text})
                    last[tenant, at] = text
                    found = finora.secrets.open(scope, made.id)
                    assert {each.reveal() for each in found.values()} == {text}
                    if number % 5 == 0:
                        finora.secrets.remove(scope, made.id)
                        del last[tenant, at]
                except Exception as error:
                    failed.append(error)
                    return
                count[worker] = number

        threads = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(4)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + LIVELY
        while min(count) < 8 and not failed:
            assert time.monotonic() < deadline, "nobody writes"
            time.sleep(0.01)
        for _ in range(3):
            job = (
                finora.rewrap_keys()
                if change == "rewrap"
                else finora.replace_data_keys(timedelta(0))
            )
            assert job.state == JobState.DONE, (job.reason, job.message)
        writing.set()
        for thread in threads:
            thread.join(LIVELY)
        assert failed == []
        assert all_open(finora, held)
        for tenant in range(6):
            scope = held[tenant][0]
            for secret in finora.secrets.list(scope):
                found = finora.secrets.open(scope, secret.id)
                if secret.institution != "kraken":
                    assert found["b"].reveal() == last.pop((tenant, secret.institution))
    assert last == {}
    if change == "rewrap":
        assert under(own) == {2: 6}


@pytest.mark.invariant("I-47")
def test_a_rewrap_that_is_killed_half_way_goes_on(own: OwnData) -> None:
    one, two = key(1), key(2)
    with own.open(one) as finora:
        held = fill(finora, 150)
    process = own.start("keys", "rewrap", keys=(two, one))
    deadline = time.monotonic() + LIVELY
    with own.admin() as admin:
        admin.autocommit = True
        while True:
            found = admin.execute("select count(*) from finora.data_key where kek_version = 2")
            [moved] = found.fetchone() or [0]
            if moved >= 10:
                break
            assert process.poll() is None and time.monotonic() < deadline
        process.kill()
        process.communicate()
    parts = under(own)
    assert parts.get(1), "it was over before it was killed"
    assert parts[1] + parts[2] == 150
    [(job_id, state, done, all_)] = own.sql(
        "select id, state, done_parts, all_parts from finora.job where name = 'secrets.rewrap' "
        "and state = 'running'"
    )
    assert (state, all_) == ("running", 150) and 0 < done <= parts[2] < 150
    with own.open(two, one) as finora:
        assert all_open(finora, held)
        # As after its lease: the very job goes on, with those not yet moved.
        own.sql("update finora.job set lease_until = now() where id = %s", job_id)
        finora.run_jobs()
        job = finora.jobs.get(finora._upkeep, job_id)
        assert (job.state, job.attempts) == (JobState.DONE, 2)
        assert job.result == {"tenants": parts[1], "keys": parts[1], "left": 0}
    assert under(own) == {2: 150}
    with own.open(two) as finora:
        assert all_open(finora, held)


# --- another data key ----------------------------------------------------------------------------


@pytest.mark.spec("S2-8", partial=True)
def test_data_keys_that_are_old_are_replaced_with_all_that_is_under_them(own: OwnData) -> None:
    with own.open(key(1)) as finora:
        held = fill(finora, 3)
        scope = held[0][0]
        made = finora.secrets.put(scope, "binance", {"a": "1", "b": "2"})
        versions = {each.id: each.version for each in finora.secrets.list(scope)}
        own.sql(
            "update finora.data_key set created_at = now() - interval '91 days' "
            "where tenant_id = any(%s)",
            [each.tenant_id for each, _ in held[:2]],
        )
        before = set(own.sql("select id from finora.data_key"))
        fields = set(own.sql("select nonce, content from finora.secret_field"))
        job = finora.replace_data_keys()
        assert job.result == {"tenants": 2, "keys": 2, "left": 0}
        after = set(own.sql("select id from finora.data_key"))
        assert len(after) == 3 and len(after & before) == 1
        kept = fields & set(own.sql("select nonce, content from finora.secret_field"))
        assert len(kept) == 1
        assert all_open(finora, held)
        assert finora.secrets.open(scope, made.id)["b"].reveal() == "2"
        assert {each.id: each.version for each in finora.secrets.list(scope)} == versions
        assert finora.replace_data_keys().result == {"tenants": 0, "keys": 0, "left": 0}


def test_what_does_not_open_keeps_its_data_key(own: OwnData) -> None:
    """Damaged, or under a key that is missing: it is left as it is, and told of."""
    with own.open(key(1)) as finora:
        [(scope, made)] = fill(finora, 1)
        other = finora.secrets.put(scope, "binance", {"a": "x"})
        own.sql("update finora.secret_field set content = sha256(content) where secret_id = %s",
                made.id)  # fmt: skip
        job = finora.replace_data_keys(timedelta(0))
        assert (job.state, job.reason) == (JobState.REFUSED, "SECRET_KEYS_LEFT")
        assert len(own.sql("select 1 from finora.data_key")) == 2
        assert finora.secrets.open(scope, other.id)["a"].reveal() == "x"
        with pytest.raises(Refusal, match="not what was put"):
            finora.secrets.open(scope, made.id)
        finora.secrets.put(scope, "kraken", {"a": "of 0"})
        assert finora.replace_data_keys(timedelta(0)).state == JobState.DONE
        assert len(own.sql("select 1 from finora.data_key")) == 1
        assert all_open(finora, [(scope, made)])


# --- their ages ----------------------------------------------------------------------------------


@pytest.mark.spec("S2-8")
def test_a_command_tells_how_old_each_key_is(own: OwnData) -> None:
    """And ends with 1, if it is to check, as long as one is older than 90 days."""
    one, two = key(1), key(2)
    with own.open(one) as finora:
        fill(finora, 2)
        finora.keys.rotate()

    def ages(*keys: str) -> set[tuple[str, int | None, bool]]:
        with own.open(*keys) as finora:
            found = finora.keys.ages()
            return {(f"{each.kind} {each.name}"[:20], each.days, each.old) for each in found}

    with own.open(one) as finora:
        [kid] = [f"signing key {each.name}"[:20] for each in finora.keys.ages()[-1:]]
    young = {("key-encryption key 1", 0, False), ("data key 2 under 1", 0, False), (kid, 0, False)}
    assert ages(one) == young
    assert ages(two, one) == young | {("key-encryption key 2", None, False)}
    assert own.run("keys", "--check", keys=(one,)).returncode == 0
    for table, column in (("key_version", "first_used_at"), ("data_key", "created_at"),
                          ("signing_key", "created_at")):  # fmt: skip
        own.sql(f"update finora.{table} set {column} = now() - interval '91 days'")
    assert ages(one) == {(name, 91, True) for name, _, _ in young}
    plain = own.run("keys", keys=(one,))
    assert plain.returncode == 0
    assert [line[:4] for line in plain.stdout.splitlines()] == ["OLD "] * 3
    assert one[2:] not in plain.stdout + plain.stderr
    said = own.run("keys", "--check", "--json", keys=(one,))
    assert said.returncode == 1
    shown = json.loads(said.stdout)
    assert shown["old"] is True and {each["old"] for each in shown["keys"]} == {True}
    # Each is replaced in its way.
    made = json.loads(own.run("keys", "rotate", "--json", keys=(two, one)).stdout)
    assert made["lost"] == []
    assert own.run("keys", "rewrap", keys=(two, one)).returncode == 0
    resealed = own.run("keys", "reseal", "--days", "90", "--json", keys=(two, one))
    assert json.loads(resealed.stdout) == {"tenants": 2, "keys": 2, "left": 0}
    young = {("key-encryption key 2", 0, False), ("data key 2 under 2", 0, False),
             (f"signing key {made['kid']}"[:20], 0, False), (kid, 91, False)}  # fmt: skip
    assert ages(two, one) == young | {("key-encryption key 1", 91, False)}
    assert ages(two) == young


def test_a_missing_key_is_told_with_what_is_under_it(own: OwnData) -> None:
    with own.open(key(1)) as finora:
        fill(finora, 1)
    shown = own.run("keys", keys=(key(2),)).stdout
    assert "key-encryption key 1: 0 days; MISSING from FINORA_SECRET_KEYS, 1 keys under it" in shown


def test_keys_in_settings_are_secret_texts() -> None:
    given = key(1)
    settings = from_environment({"FINORA_SECRET_KEYS": given})
    assert settings.secret_keys == SecretStr(given)
    assert given[2:] not in repr(settings) + settings.model_dump_json() + os.linesep
