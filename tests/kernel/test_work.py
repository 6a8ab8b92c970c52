"""Running a use case again, and the names of causes."""

from typing import Any

import pytest

from finora_core.kernel.errors import Conflict, Refusal, Unavailable
from finora_core.kernel.scope import BadCommandKey, Command
from finora_core.kernel.work import Contended, retried


class Flaky:
    """Fails as told, then answers with what it was given."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    @retried
    def run(self, value: int, *, twice: bool = False) -> int:
        """Answer."""
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return value * (2 if twice else 1)


def lost() -> Contended:
    return Contended("another was first")


@pytest.mark.parametrize("losses", [0, 1, 2, 3])
def test_a_race_lost_up_to_three_times_is_run_again(losses: int) -> None:
    flaky = Flaky(*(lost() for _ in range(losses)))
    assert flaky.run(21, twice=True) == 42
    assert flaky.calls == losses + 1


def test_a_race_lost_a_fourth_time_is_the_callers() -> None:
    flaky = Flaky(*(lost() for _ in range(9)))
    with pytest.raises(Contended) as caught:
        flaky.run(1)
    assert flaky.calls == 4
    assert caught.value.code == "TRY_AGAIN"
    assert isinstance(caught.value, Unavailable)


@pytest.mark.parametrize("error", [Conflict("no"), Unavailable("down"), ValueError("a bug")])
def test_nothing_else_is_run_again(error: Exception) -> None:
    flaky = Flaky(error)
    with pytest.raises(type(error)):
        flaky.run(1)
    assert flaky.calls == 1


def test_a_retried_use_case_keeps_its_name_and_text() -> None:
    assert (Flaky.run.__name__, Flaky.run.__doc__) == ("run", "Answer.")


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "a\x00b", "\ud800", "\u202e"])
def test_a_command_has_a_key_that_can_be_kept(key: Any) -> None:
    with pytest.raises(BadCommandKey):
        Command(key=key, fingerprint=b"", encode=lambda _: b"")


def test_a_refusal_carries_its_code_message_details_and_facts() -> None:
    refusal = Refusal("no", details=(("amount", "too large"),), facts={"most": 5})
    assert (refusal.code, refusal.message, str(refusal)) == ("REFUSED", "no", "no")
    assert refusal.details == (("amount", "too large"),)
    assert refusal.facts == {"most": 5}
