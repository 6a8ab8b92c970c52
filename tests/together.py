"""Doing things at the same moment, from many threads."""

import threading
from collections.abc import Callable
from typing import Any


def together(*acts: Callable[[], object]) -> list[Any]:
    """Run each in a thread of its own, all let go at once; what each returned or raised."""
    results: list[Any] = [None] * len(acts)
    gate = threading.Barrier(len(acts))

    def run(at: int, act: Callable[[], object]) -> None:
        gate.wait(30)
        try:
            results[at] = act()
        except Exception as error:
            results[at] = error

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
        assert not thread.is_alive(), "a thread hangs"
    return results


def errors(results: list[Any]) -> list[Exception]:
    return [each for each in results if isinstance(each, Exception)]
