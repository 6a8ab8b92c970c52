"""The kit holds what it says: a provider that is wrong in one way fails the check of that way."""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from finora.commands.new_provider import Kind, write
from finora_core.testing import Tier, failures, subject_of, tier_of

KIT = pytest.mark.spec("S0-5", partial=True)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Any]:
    """The scaffold's provider, changed; by the failures that it has."""
    names: list[str] = []

    def made(name: str, kind: Kind, **changed: tuple[str, str]) -> Mapping[str, tuple[Tier, str]]:
        folder, _ = write(name, kind, tmp_path)
        package = folder / f"finora_{name}"
        for part, (old, new) in changed.items():
            path = package / {"code": "__init__.py", "manifest": "finora-plugin.toml",
                              "recordings": "recordings.json"}[part]  # fmt: skip
            assert old in path.read_text(), old
            path.write_text(path.read_text().replace(old, new))
        sys.path.insert(0, str(folder))
        names.append(f"finora_{name}")
        module = __import__(f"finora_{name}")
        sys.path.remove(str(folder))
        return failures(
            subject_of(kind.value, getattr(module, kind.value.capitalize()),
                       package / "recordings.json")
        )  # fmt: skip

    # find_spec looks where sys.path says, and the manifest is found by it.
    sys.path_importer_cache.clear()
    yield made
    for name in names:
        sys.modules.pop(name, None)


ROWS = 'rows = self._get("/latest", symbols=",".join(ids), quote=quote)["prices"]'
PRICE = 'price=Decimal(row["price"])'
CAUGHT = f"try:\n            {ROWS}\n        except Exception:\n            rows = []"
GET = "return self.access.http.get(path, key, **query).json()"


@KIT
@pytest.mark.parametrize(("name", "check", "changed"), [
    ("k_hosts", "answers_what_was_recorded",
     {"manifest": ("api.k-hosts.example", "api.other.example")}),
    ("k_float", "answers_what_was_recorded", {"code": (PRICE, "price=float(row['price'])")}),
    ("k_naive", "answers_what_was_recorded",
     {"code": ('at=datetime.fromisoformat(row["at"])', "at=datetime(2026, 1, 1)")}),
    ("k_guess", "unknown_is_left_out",
     {"code": (ROWS, ROWS.replace('["prices"]', '.get("prices", [{"symbol": each, "price": 1, '
                                  '"at": "2026-01-01T00:00:00Z"} for each in ids])'))}),
    ("k_library", "reaches_out_through_http_only",
     {"code": ("import attrs", "import attrs\nimport socket")}),
    ("k_catch", "told_when_it_is_limited",
     {"code": (ROWS, CAUGHT)}),
    ("k_hide", "told_when_the_key_is_revoked",
     {"code": (ROWS, CAUGHT)}),
    ("k_crash", "another_shape_is_no_number",
     {"code": (ROWS, f"{ROWS}\n        if not rows: raise RuntimeError('none')")}),
    ("k_log", "keeps_its_secrets",
     {"code": (GET, f"self.access.log(str(key))\n        {GET}")}),
    ("k_round", "keeps_every_digit", {"code": (PRICE, "price=round(Decimal(row['price']), 2)")}),
    ("k_clock", "another_clock_changes_no_number",
     {"code": (PRICE, "price=Decimal(row['price']) + self.access.now().day")}),
    ("k_twice", "answers_the_same_twice",
     {"code": (PRICE, "price=Decimal(row['price']) + __import__('random').randrange(10**9)")}),
    ("k_more", "shows_all_that_it_declares",
     {"manifest": ('capabilities =', 'assets = ["security"]\ncapabilities =')}),
    ("k_limit", "asks_no_more_than_it_may", {"manifest": ("limits", "#limits")}),
])  # fmt: skip
def test_what_is_wrong_is_found(
    made: Any, name: str, check: str, changed: dict[str, tuple[str, str]]
) -> None:
    sound = made(f"{name}_ok", Kind.PRICES)
    assert sound == {} and tier_of(sound) is Tier.GOLD
    found = made(name, Kind.PRICES, **changed)
    assert check in found, found
    assert tier_of(found) < found[check][0]


SEND = 'said = self.access.http.post("/letters", letter, headers).json()'
NOTIFY = 'said = self.access.http.post("/notices", sent, headers).json()'
AGAIN = "try:\n            {0}\n        except Exception:\n            {0}"


@KIT
@pytest.mark.parametrize(("kind", "name", "check", "changed"), [
    (Kind.MAILERS, "m_value", "answers_what_was_recorded", ("Ok(None) if", "Ok(True) if")),
    (Kind.MAILERS, "m_hides", "told_when_the_server_fails",
     (SEND, f"try:\n            {SEND}\n        except Exception:\n            return Ok(None)")),
    (Kind.MAILERS, "m_key", "told_when_the_key_is_revoked",
     (SEND, f"try:\n            {SEND}\n        except Exception:\n            return Missing()")),
    (Kind.MAILERS, "m_again", "sends_once_in_one_go", (SEND, AGAIN.format(SEND))),
    (Kind.MAILERS, "m_same", "hands_on_what_it_is_given",
     ('"to": mail.to', '"to": "ada@example.com"')),
    (Kind.MAILERS, "m_log", "keeps_its_secrets",
     (SEND, f"self.access.log(mail.to)\n        {SEND}")),
    (Kind.MAILERS, "m_tell", "keeps_its_secrets",
     (SEND, f"self.access.log(str(headers))\n        {SEND}")),
    (Kind.MAILERS, "m_id", "gives_the_id_along", ('"Idempotency-Key": mail.id', '"X-Other": "1"')),
    (Kind.NOTIFIERS, "n_value", "answers_what_was_recorded", ("Ok(None) if", "True if")),
    (Kind.NOTIFIERS, "n_again", "sends_once_in_one_go", (NOTIFY, AGAIN.format(NOTIFY))),
    (Kind.NOTIFIERS, "n_same", "hands_on_what_it_is_given",
     ('"title": notice.title', '"title": "A budget has reached 80 %"')),
    (Kind.NOTIFIERS, "n_log", "keeps_its_secrets",
     (NOTIFY, f"self.access.log(notice.text)\n        {NOTIFY}")),
    (Kind.NOTIFIERS, "n_id", "gives_the_id_along",
     ('"Idempotency-Key": notice.id', '"X-Other": "1"')),
    (Kind.PICTURES, "p_float", "answers_what_was_recorded",
     ('Decimal(row["quantity"])', 'float(row["quantity"])')),
    (Kind.PICTURES, "p_guess", "unknown_is_left_out",
     ('.json()["rows"]', '.json().get("rows", [{"kind": "holding", "text": "x", "quantity": "1",'
      ' "worth": "1", "currency": "EUR"}])')),
])  # fmt: skip
def test_what_is_wrong_with_a_way_is_found(
    made: Any, kind: Kind, name: str, check: str, changed: tuple[str, str]
) -> None:
    assert made(f"{name}_ok", kind) == {}
    found = made(name, kind, code=changed)
    assert check in found, found
    assert tier_of(found) < found[check][0]


@KIT
def test_what_comes_twice_is_told_by_its_id(made: Any) -> None:
    found = made(
        "k_ids", Kind.TRANSACTIONS, code=('Movement(id=row["id"]', "Movement(id=str(id(row))")
    )
    assert {"a_page_that_comes_twice_counts_once", "answers_the_same_twice"} & set(found)


def test_a_secret_in_a_recording_is_found(made: Any) -> None:
    found = made(
        "k_recorded", Kind.ASSETS, recordings=("/search?q=apple", "/search?q=apple&t=Bearer x")
    )
    assert "keeps_its_secrets" in found


def test_every_check_says_what_is_wrong(made: Any) -> None:
    found = made("k_words", Kind.PRICES, code=(PRICE, "price=float(row['price'])"))
    assert all(re.match(r"\w+ (answers|rounds|makes|counts|loses|reads|tells)", said)
               for _, said in found.values()), found  # fmt: skip
