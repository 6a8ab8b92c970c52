"""What pages keep of a person."""

from typing import Any

import pytest

from finora_core.identity.people.model import BadPreferences, with_preferences
from people.conftest import Caller, SignUp
from together import errors, together

PATH = "/me/preferences"


def change(person: Caller, **given: Any) -> Any:
    return person.good("PATCH", PATH, {"preferences": given})["preferences"]


@pytest.mark.spec("S4-14", partial=True)
def test_preferences_are_kept_changed_and_taken_away(person: Caller, sign_up: SignUp) -> None:
    assert person.get(PATH) == {"preferences": {}}
    assert change(person, theme="dark", rows=50, beep=True) == {
        "theme": "dark", "rows": 50, "beep": True
    }  # fmt: skip
    assert change(person, rows=None, theme="light") == {"theme": "light", "beep": True}
    assert person.get(PATH) == {"preferences": {"theme": "light", "beep": True}}
    # A truth value is not a number, nor the other way round.
    assert change(person, beep=1)["beep"] is not True
    assert person.get(PATH)["preferences"]["beep"] is not True
    assert sign_up().get(PATH) == {"preferences": {}}


@pytest.mark.parametrize(
    "wrong",
    [{"a": 1.5}, {"a": 1.0}, {"a": []}, {"a": {"b": 1}}, {"": "x"}, {"a b": "x"}, {"a" * 65: "x"},
     {"ä": "x"}, {"a": "x\x00"}, {"a": 2**53}, {"a": -(2**53)}, {"a": "x" * 4096}],
    ids=lambda each: str(each)[:20],
)  # fmt: skip
def test_what_is_no_preference_is_refused(person: Caller, wrong: dict[str, Any]) -> None:
    kept = change(person, a="kept")
    assert person.refused("PATCH", PATH, {"preferences": wrong})[0] == 400
    assert person.get(PATH)["preferences"] == kept


def test_fifty_preferences_in_four_kilobytes_are_all() -> None:
    fifty: dict[str, object] = {f"p{n}": n for n in range(50)}
    assert with_preferences({}, fifty) == fifty
    assert len(with_preferences(with_preferences({}, fifty), {"p0": None, "p50": 1})) == 50
    with pytest.raises(BadPreferences):
        with_preferences(with_preferences({}, fifty), {"p50": 1})
    with_preferences({}, {"a": "x" * 4088})
    with pytest.raises(BadPreferences):
        with_preferences({}, {"a": "x" * 4089})
    with pytest.raises(BadPreferences):
        with_preferences({}, {"a": "ä" * 2045})
    with pytest.raises(BadPreferences):
        with_preferences({}, {"a": "\ud800"})


def test_of_changes_at_once_none_is_lost(person: Caller) -> None:
    results = together(*(lambda n=n: change(person, **{f"p{n}": n}) for n in range(8)))
    assert not errors(results)
    assert person.get(PATH)["preferences"] == {f"p{n}": n for n in range(8)}
