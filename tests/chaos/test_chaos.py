"""Three fixed seeds; and two faults of our own that the same runs must find, or they prove nothing.
Longer: `make chaos SECONDS=600`."""

import itertools
import sys
from collections.abc import Iterator

import pytest

from chaos.cluster import Cluster
from chaos.nemesis import OVER_HTTP, POSTGRES_EVERY_S, Event, plan
from chaos.run import Run, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.mark.invariant("F-02")
@pytest.mark.invariant("F-04")
@pytest.mark.invariant("F-06")
@pytest.mark.invariant("F-07")
@pytest.mark.invariant("F-11")
@pytest.mark.invariant("I-16")
@pytest.mark.invariant("I-17")
@pytest.mark.invariant("I-22")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_was_acknowledged_is_there_once(cluster: Cluster, seed: int) -> None:
    report = run(cluster, Run(seed=seed, seconds=14))
    print(report)
    assert report.wrong == []
    assert report.acknowledged > 100
    assert report.faults["kill postgres"] >= 1


@pytest.mark.invariant("I-17")
@pytest.mark.timeout(240)
def test_commits_that_are_not_on_disk_are_missed() -> None:
    """The same check, where the server acknowledges first and writes later."""
    cluster = Cluster()
    try:
        events = [Event(6.0, "kill postgres", 0.0)]
        report = run(cluster, Run(seed=11, seconds=7, events=events, durable=False))
    finally:
        cluster.close()
    assert any("acknowledged as" in each for each in report.wrong), report


@pytest.mark.invariant("F-01")
@pytest.mark.invariant("F-02")
@pytest.mark.invariant("I-16")
@pytest.mark.invariant("I-17")
@pytest.mark.timeout(240)
def test_what_was_acknowledged_over_http_is_there_once(cluster: Cluster) -> None:
    """Processes of the API die, too, and replies are lost on their way."""
    report = run(cluster, Run(seed=4, seconds=20, target="http"))
    print(report)
    assert report.wrong == []
    assert report.acknowledged > 100
    assert report.faults["kill api"] >= 1
    assert any(write.replayed for write in report.writes.values())


@pytest.mark.invariant("I-16")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("target", ["library", "http"])
def test_writes_without_a_key_are_doubled(cluster: Cluster, target: str) -> None:
    """Answers to COMMIT are lost, and who asks again is served again."""
    events = [Event(0.5, "swallow", 5.0)]
    seed = 12 if target == "library" else 13
    said = Run(seed=seed, seconds=5, events=events, keyed=False, target=target)
    report = run(cluster, said)
    assert any("2 entries" in each for each in report.wrong), report


def test_a_seed_is_a_plan() -> None:
    for seed in range(200):
        events = plan(seed, 20)
        assert events == plan(seed, 20)
        killed = [each.at for each in events if each.fault == "kill postgres"]
        assert killed
        assert all(b - a >= POSTGRES_EVERY_S for a, b in itertools.pairwise(killed))
    assert plan(1, 20) != plan(2, 20)
    assert "kill api" not in {each.fault for seed in range(50) for each in plan(seed, 60)}
    assert "kill api" in {each.fault for each in plan(4, 20, faults=OVER_HTTP)}
    assert sum(each.fault in ("kill worker", "kill postgres") for each in plan(5, 1e9, 40)) == 40
