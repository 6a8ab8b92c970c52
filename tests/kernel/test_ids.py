"""Ids: version 7 in order, derived ones the same for the same."""

import threading
import time
from itertools import pairwise
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from finora_core.kernel import ids
from finora_core.kernel.ids import derived_id, new_id


def test_a_new_id_is_a_version_7_of_this_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id()
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before <= made.int >> 80 <= after + 1


def test_ids_of_one_thread_never_go_backwards_within_a_millisecond_either() -> None:
    made = [new_id() for _ in range(100_000)]
    assert all(one < next_one for one, next_one in pairwise(made))


def test_ids_of_many_threads_are_distinct_and_each_thread_sees_them_rise() -> None:
    seen: list[list[UUID]] = [[] for _ in range(8)]

    def make(mine: list[UUID]) -> None:
        mine.extend(new_id() for _ in range(5_000))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in seen)
    assert len({made for mine in seen for made in mine}) == 40_000


def test_a_clock_that_steps_back_does_not_take_the_ids_along() -> None:
    made = new_id()
    ids._last += 3_600_000 << 74  # as if ids had been made an hour ahead of this clock
    ahead = new_id()
    assert made < ahead < new_id()
    assert ahead.version == 7
    ids._last = 0


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
def test_a_derived_id_is_the_same_for_the_same_parts(parts: list[str]) -> None:
    made = derived_id(*parts)
    assert made == derived_id(*parts)
    assert (made.version, made.variant) == (8, RFC_4122)


def test_derived_ids_of_different_parts_differ() -> None:
    parts = [(), ("",), ("", ""), ("ab", "c"), ("a", "bc"), ("abc",), ("c", "ab"), ("a\x00", "bc")]
    assert len({derived_id(*each) for each in parts}) == len(parts)


def test_a_derived_id_stays_what_it_was_in_an_earlier_release() -> None:
    assert derived_id("job", "u1", "é") == UUID("f927b240-c77f-8f42-93fc-dda1a9140722")
