"""Credentials: put, listed without what is secret, opened, removed; each its person's alone, sealed
in the database so that no row opens in another's place."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
from sqlalchemy import Engine, text

from finora import Command, Finora, Replayed, Scope
from finora_adapters.postgres.work import Postgres
from finora_core.secrets.model import (
    BadSecret,
    Secret,
    SecretDamaged,
    SecretInactive,
    SecretKeyWrong,
    SecretNotFound,
    SecretText,
)
from finora_core.secrets.service import SecretService
from together import errors, together

FIELDS = {"api_key": "AK-1", "api_secret": "a secret\nof two lines, é"}


def opened(finora: Finora, scope: Scope, secret: Secret) -> dict[str, str]:
    return {name: text.reveal() for name, text in finora.secrets.open(scope, secret.id).items()}


def rows(admin: Engine, sql: str, **values: object) -> list[Any]:
    with admin.begin() as connection:
        result = connection.execute(text(sql), values)
        return list(result.all()) if result.returns_rows else []


def events(admin: Engine, scope: Scope) -> list[Any]:
    return rows(
        admin,
        "select type, payload from finora.event where tenant_id = :t and type like 'secret%' "
        "order by recorded_at, id",
        t=scope.tenant_id,
    )


# --- what people do ------------------------------------------------------------------------------


@pytest.mark.spec("S0-11")
def test_a_credential_is_put_shown_opened_replaced_and_removed(
    finora: Finora, scope: Scope, admin: Engine
) -> None:
    ends = datetime.now(UTC) + timedelta(days=30)
    made = finora.secrets.put(scope, "kraken", FIELDS, type="api_key", expires_at=ends)
    assert made == attrs.evolve(
        made, user_id=scope.user_id, institution="kraken", type="api_key", version=1,
        fields=("api_key", "api_secret"), is_active=True, last_used_at=None, expires_at=ends,
        sync_blocked_until=None, failures=0,
    )  # fmt: skip
    assert finora.secrets.list(scope) == [made]
    assert opened(finora, scope, made) == FIELDS
    [used] = finora.secrets.list(scope)
    assert used.last_used_at is not None
    again = finora.secrets.put(scope, "kraken", {"token": SecretText("t")}, type="oauth")
    assert (again.id, again.version, again.type, again.fields) == (made.id, 2, "oauth", ("token",))
    assert (again.expires_at, again.created_at) == (None, made.created_at)
    assert opened(finora, scope, again) == {"token": "t"}
    assert finora.secrets.remove(scope, made.id).version == 2
    assert finora.secrets.list(scope) == []
    for act in (finora.secrets.open, finora.secrets.remove, finora.secrets.worked,
                finora.secrets.failed):  # fmt: skip
        with pytest.raises(SecretNotFound):
            act(scope, made.id)
    one = {"secret": str(made.id), "version": 1}
    two = one | {"version": 2}
    assert [tuple(row) for row in events(admin, scope)] == [
        ("secret.put", one), ("secret.opened", one), ("secret.put", two), ("secret.opened", two),
        ("secret.removed", {"secret": str(made.id)}),
    ]  # fmt: skip
    left = rows(admin, "select 1 from finora.secret_field where tenant_id = :t", t=scope.tenant_id)
    assert left == []


@pytest.mark.spec("S0-11")
def test_it_is_one_a_person_and_institution_and_nobody_elses(
    finora: Finora, scope: Scope, stranger: Scope, admin: Engine
) -> None:
    tenant = f"t-{uuid4()}"
    ada, bob = (finora.scope(tenant=tenant, user=user) for user in ("ada", "bob"))
    made = {
        who.user_id: finora.secrets.put(who, "kraken", {"k": str(who.user_id)})
        for who in (ada, bob, stranger)
    }
    finora.secrets.put(ada, "binance", {"k": "b"})
    assert [each.institution for each in finora.secrets.list(ada)] == ["binance", "kraken"]
    assert [each.id for each in finora.secrets.list(bob)] == [made[bob.user_id].id]
    for who, whose in itertools.permutations((ada, bob, stranger), 2):
        theirs = made[whose.user_id].id
        for act in (finora.secrets.open, finora.secrets.remove, finora.secrets.worked,
                    finora.secrets.failed):  # fmt: skip
            with pytest.raises(SecretNotFound):
                act(who, theirs)
    assert opened(finora, bob, made[bob.user_id]) == {"k": str(bob.user_id)}
    copied = (
        "insert into finora.secret (tenant_id, id, user_id, institution, type, version) "
        "select tenant_id, gen_random_uuid(), user_id, institution, type, 1 from finora.secret "
        "where id = :id"
    )
    with pytest.raises(Exception, match="secret_tenant_id_user_id_institution_key"):
        rows(admin, copied, id=made[bob.user_id].id)


@pytest.mark.spec("S0-11")
def test_what_its_institution_does_with_it_is_kept(
    finora: Finora, scope: Scope, admin: Engine
) -> None:
    made = finora.secrets.put(scope, "kraken", FIELDS)
    until = datetime.now(UTC) + timedelta(hours=1)
    finora.secrets.failed(scope, made.id)
    twice = finora.secrets.failed(scope, made.id, blocked_until=until)
    assert (twice.failures, twice.sync_blocked_until, twice.is_active) == (2, until, True)
    assert opened(finora, scope, made) == FIELDS
    well = finora.secrets.worked(scope, made.id)
    assert (well.failures, well.sync_blocked_until) == (0, None)
    stopped = finora.secrets.failed(scope, made.id, stopped=True)
    assert (stopped.failures, stopped.is_active) == (1, False)
    assert events(admin, scope)[-1].type == "secret.stopped"
    with pytest.raises(SecretInactive, match="no longer takes"):
        finora.secrets.open(scope, made.id)
    anew = finora.secrets.put(scope, "kraken", FIELDS)
    assert (anew.failures, anew.is_active, anew.version) == (0, True, 2)
    assert opened(finora, scope, made) == FIELDS


@pytest.mark.spec("S0-11")
def test_one_whose_time_is_over_does_not_open(finora: Finora, scope: Scope, admin: Engine) -> None:
    ends = datetime.now(UTC) + timedelta(days=1)
    made = finora.secrets.put(scope, "kraken", FIELDS, expires_at=ends)
    over = "update finora.secret set expires_at = now() where id = :id"
    rows(admin, over, id=made.id)
    with pytest.raises(SecretInactive, match="ended"):
        finora.secrets.open(scope, made.id)
    with pytest.raises(BadSecret):
        finora.secrets.put(scope, "kraken", FIELDS, expires_at=datetime.now(UTC))


@pytest.mark.parametrize(
    ("institution", "fields", "kind"),
    [("", FIELDS, "k"), ("Kraken", FIELDS, "k"), ("1x", FIELDS, "k"), ("a b", FIELDS, "k"),
     ("a\n", FIELDS, "k"), ("x" * 65, FIELDS, "k"), ("ok", FIELDS, ""), ("ok", FIELDS, "A"),
     ("ok", {}, "k"), ("ok", {"": "x"}, "k"), ("ok", {"A": "x"}, "k"), ("ok", {"a-b": "x"}, "k"),
     ("ok", {"a" * 41: "x"}, "k"), ("ok", {"a\n": "x"}, "k"), ("ok", {"a": ""}, "k"),
     ("ok", {"a": "x" * 4097}, "k"), ("ok", {"a": "HIDDEN\0"}, "k"),
     ("ok", {"a": "HIDDEN\ud800"}, "k"), ("ok", {"HIDDEN": "x"}, "k"), ("HIDDEN", FIELDS, "k"),
     ("ok", {f"f{n}": "x" for n in range(17)}, "k")],
)  # fmt: skip
def test_what_is_no_credential_is_refused_without_a_word_of_it(
    finora: Finora, scope: Scope, institution: str, fields: dict[str, str], kind: str
) -> None:
    with pytest.raises(BadSecret) as caught:
        finora.secrets.put(scope, institution, fields, type=kind)
    assert "HIDDEN" not in repr(caught.value) + caught.value.message
    assert finora.secrets.list(scope) == []


def test_the_largest_credential_fits(finora: Finora, scope: Scope) -> None:
    fields = {f"f{n}": "\U0001f511" * 4096 for n in range(16)}
    assert opened(finora, scope, finora.secrets.put(scope, "x" * 64, fields)) == fields


def test_a_repeat_of_a_put_is_that_put(finora: Finora, scope: Scope) -> None:
    def encode(result: object) -> bytes:
        assert isinstance(result, Secret)
        return json.dumps([str(result.id), result.version]).encode()

    command = Command(key="k", fingerprint=b"f" * 32, encode=encode)
    once = attrs.evolve(scope, cause=command)
    made = finora.secrets.put(once, "kraken", FIELDS)
    with pytest.raises(Replayed) as caught:
        finora.secrets.put(once, "kraken", FIELDS)
    assert json.loads(caught.value.reply) == [str(made.id), 1]


def test_many_put_at_once_and_the_last_one_is_whole(
    finora: Finora, scope: Scope, admin: Engine
) -> None:
    """Of one institution and of several: one data key, versions without a gap, no mixed fields."""

    def put(number: int) -> Secret:
        fields = {"a": f"{number}", "b": f"{number}"}
        return finora.secrets.put(scope, f"i{number % 2}", fields)

    made = together(*[lambda number=number: put(number) for number in range(12)])
    assert errors(made) == []
    for name in ("i0", "i1"):
        versions = sorted(each.version for each in made if each.institution == name)
        assert versions == [1, 2, 3, 4, 5, 6]
    for secret in finora.secrets.list(scope):
        values = opened(finora, scope, secret)
        assert values["a"] == values["b"]
        assert secret.version == 6
    keys = rows(admin, "select 1 from finora.data_key where tenant_id = :t", t=scope.tenant_id)
    assert len(keys) == 1


# --- rows in another's place ---------------------------------------------------------------------


@pytest.fixture
def held(finora: Finora, scope: Scope, stranger: Scope) -> list[tuple[Scope, Secret, str]]:
    """Fields of two tenants, two people, two institutions, two names."""
    tenant = f"t-{uuid4()}"
    people = [*(finora.scope(tenant=tenant, user=user) for user in ("ada", "bob")), stranger]
    return [
        (who, finora.secrets.put(who, at, {"a": "text one", "b": "text two"}), name)
        for who in people
        for at in ("kraken", "binance")
        for name in ("a", "b")
    ]


@pytest.mark.spec("S0-11")
@pytest.mark.invariant("I-47")
@pytest.mark.invariant("T-22")
def test_any_two_rows_swapped_do_not_open(
    finora: Finora, held: list[tuple[Scope, Secret, str]], admin: Engine
) -> None:
    """Content, nonce and key of any field in the place of any other one."""
    latest = {(who, each.id): each for who, secret, _ in held for each in finora.secrets.list(who)}
    places = [(who, latest[who, secret.id], name) for who, secret, name in held]
    where = "tenant_id = :t and secret_id = :s and name = :n"
    key = [{"t": who.tenant_id, "s": secret.id, "n": name} for who, secret, name in places]
    stored = f"select nonce, content from finora.secret_field where {where}"
    got = [rows(admin, stored, **each)[0] for each in key]
    assert len({row.content for row in got}) == len(places) == 12
    refused = 0
    for one, two in itertools.permutations(range(len(places)), 2):
        who, secret, name = places[one]
        if places[two][0].tenant_id != who.tenant_id:
            continue  # The other's key is not there: below.
        moved = f"update finora.secret_field set nonce = :nonce, content = :content where {where}"
        there, back = got[two], got[one]
        swap(admin, moved, key[one], key[two], there, back)
        with pytest.raises(SecretDamaged):
            finora.secrets.open(who, secret.id)
        swap(admin, moved, key[one], key[two], back, there)
        refused += 1
        assert opened(finora, who, secret) == {"a": "text one", "b": "text two"}, name
    assert refused == 8 * 7 + 4 * 3


def swap(
    admin: Engine, moved: str, one: dict[str, Any], two: dict[str, Any], there: Any, back: Any
) -> None:
    """Both at once, past a nonce that nobody has: the two are never alike."""
    with admin.begin() as connection:
        for at, nonce, content in (
            (one, bytes(12), back.content),
            (two, back.nonce, back.content),
            (one, there.nonce, there.content),
        ):
            connection.execute(text(moved), at | {"nonce": nonce, "content": content})


@pytest.mark.invariant("I-47")
@pytest.mark.parametrize(
    "change",
    ["user_id = :other", "institution = 'elsewhere'", "version = version + 1",
     "version = version + 100"],
)  # fmt: skip
def test_a_row_under_another_name_does_not_open(finora: Finora, admin: Engine, change: str) -> None:
    """Given to another person, or to another institution, to be sent there."""
    tenant = f"t-{uuid4()}"
    ada, bob = (finora.scope(tenant=tenant, user=user) for user in ("ada", "bob"))
    made = finora.secrets.put(ada, "kraken", FIELDS)
    rows(admin, f"update finora.secret set {change} where id = :id", id=made.id, other=bob.user_id)
    whose = bob if "user_id" in change else ada
    with pytest.raises(SecretDamaged):
        finora.secrets.open(whose, made.id)


@pytest.mark.invariant("I-47")
def test_a_field_does_not_open_under_another_name_and_nothing_of_it_is_told(
    finora: Finora, scope: Scope, admin: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    made = finora.secrets.put(scope, "kraken", {"password": "HIDDEN"})
    rows(admin, "update finora.secret_field set name = 'username' where secret_id = :s", s=made.id)
    with pytest.raises(SecretDamaged) as caught:
        finora.secrets.open(scope, made.id)
    assert "HIDDEN" not in str(caught.value) + caplog.text
    # Whoever runs it must know that somebody changed a row.
    assert str(made.id) in caplog.text
    assert [each.last_used_at for each in finora.secrets.list(scope)] == [None]


@pytest.mark.invariant("I-47")
def test_a_data_key_opens_in_its_tenant_alone(
    finora: Finora, scope: Scope, stranger: Scope, admin: Engine
) -> None:
    """A thief of rows who is a tenant too: the other's wrapped key, and rows, put among his."""
    theirs = finora.secrets.put(scope, "kraken", {"a": "x"})
    mine = finora.secrets.put(stranger, "kraken", {"a": "y"})
    steal = (
        "update finora.data_key set wrapped = "
        "(select wrapped from finora.data_key where tenant_id = :t) where tenant_id = :m"
    )
    values = {"t": scope.tenant_id, "m": stranger.tenant_id}
    [kept] = rows(admin, "select wrapped from finora.data_key where tenant_id = :m", **values)
    rows(admin, steal, **values)
    with pytest.raises(SecretKeyWrong):
        finora.secrets.open(stranger, mine.id)
    rows(
        admin,
        "update finora.secret_field set (nonce, content) = (select nonce, content "
        "from finora.secret_field where secret_id = :s) where secret_id = :own",
        s=theirs.id,
        own=mine.id,
    )
    with pytest.raises(SecretKeyWrong):
        finora.secrets.open(stranger, mine.id)
    back = "update finora.data_key set wrapped = :w where tenant_id = :m"
    rows(admin, back, w=kept.wrapped, **values)
    with pytest.raises(SecretDamaged):
        finora.secrets.open(stranger, mine.id)


# --- nonces --------------------------------------------------------------------------------------


@attrs.frozen
class Repeating:
    """A cipher whose random source is broken, until it is mended."""

    cipher: Any
    nonces: Iterator[bytes | None]

    def seal(self, key: bytes, plain: bytes, place: bytes) -> Any:
        sealed = self.cipher.seal(key, plain, place)
        nonce = next(self.nonces)
        return sealed if nonce is None else attrs.evolve(sealed, nonce=nonce)

    def open(self, key: bytes, sealed: Any, place: bytes) -> bytes:
        return bytes(self.cipher.open(key, sealed, place))


@pytest.mark.invariant("I-47")
def test_a_nonce_is_never_kept_twice_with_one_key(
    finora: Finora, database: Postgres, scope: Scope
) -> None:
    """The table refuses it; it is sealed anew, with another one."""
    vault = finora.secrets.vault
    once = bytes(12)
    first = SecretService(
        database.begin, attrs.evolve(vault, cipher=Repeating(vault.cipher, iter([once])))
    )
    first.put(scope, "one", {"a": "x"})
    mended = Repeating(vault.cipher, iter([once, once, None]))
    second = SecretService(database.begin, attrs.evolve(vault, cipher=mended))
    made = second.put(scope, "two", {"a": "y"})
    assert list(mended.nonces) == []
    assert opened(finora, scope, made) == {"a": "y"}
    broken = Repeating(vault.cipher, itertools.repeat(once))
    with pytest.raises(Exception, match="nonce came twice"):
        SecretService(database.begin, attrs.evolve(vault, cipher=broken)).put(
            scope, "three", {"a": "z"}
        )
    assert [each.institution for each in finora.secrets.list(scope)] == ["one", "two"]


def test_ids_are_made_for_each_credential(finora: Finora, scope: Scope) -> None:
    """Removed and put again is another row: nothing of the old one opens in it."""
    one = finora.secrets.put(scope, "kraken", FIELDS)
    finora.secrets.remove(scope, one.id)
    two = finora.secrets.put(scope, "kraken", FIELDS)
    assert isinstance(two.id, UUID)
    assert (two.id != one.id, two.version) == (True, 1)
