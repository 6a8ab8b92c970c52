"""Whether the time of an answer tells that an address is known (invariant I-45).

    python benchmarks/enumeration.py
    python benchmarks/enumeration.py --calls 200

Known and unknown addresses by turns, in an order that chance decides, so that whatever slows the
machine down slows both; passwords cost what they do by default. Two samples are compared by the
test of Kolmogorov and Smirnov: a p under 0.01 says that they differ. Registering is left out: an
address that is taken is told so by its status (S2-9).
"""

import argparse
import math
import random
import statistics
from uuid import uuid4

from common import Watch, finish, show, workplace

from finora import Finora, Settings
from finora_adapters.compose import open_database
from finora_web.main import build

LEAST_P = 0.01
PEOPLE = 50


def ks_p(one: list[float], two: list[float]) -> float:
    """How likely two samples of one distribution differ as much as these (asymptotic)."""
    marks = sorted([(value, 0) for value in one] + [(value, 1) for value in two])
    seen, most = [0, 0], 0.0
    for at, (value, which) in enumerate(marks):
        seen[which] += 1
        if at + 1 == len(marks) or marks[at + 1][0] != value:
            most = max(most, abs(seen[0] / len(one) - seen[1] / len(two)))
    root = math.sqrt(len(one) * len(two) / (len(one) + len(two)))
    far = (root + 0.12 + 0.11 / root) * most
    if far < 0.2:
        return 1.0
    return min(1.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * far) ** 2) for k in range(1, 101)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=500, help="of each kind")
    calls = parser.parse_args().calls
    rows, worst = [], 1.0
    with workplace() as folder:
        settings = Settings(data=folder / "data", env="test", rate_limits="all=1000000/60")
        with Finora.open(settings):
            opened = open_database(settings, redis=True)
            client = build(settings, opened).test_client()

            def ask(path: str, body: dict[str, str]) -> float:
                watch = Watch()
                client.post(f"/api/v1{path}", json=body)
                return watch.lap() * 1000

            # Enough of them that none is locked, or has its first letter, more often than another.
            known = [f"k{uuid4().hex}@example.org" for _ in range(max(PEOPLE, calls // 4 + 1))]
            for email in known:
                ask("/auth/register", {"email": email, "password": "correct horse battery"})
            for name, path, more in (
                ("login", "/auth/login", {"password": "not the password"}),
                ("letter", "/auth/letters", {"kind": "reset"}),
                ("code", "/auth/code", {"sent": "123456"}),
            ):
                unknown = [f"u{uuid4().hex}@example.org" for _ in known]
                turns = [(kind, at % len(known)) for at in range(calls) for kind in (0, 1)]
                random.shuffle(turns)
                took: tuple[list[float], list[float]] = ([], [])
                for kind, at in turns:
                    email = (known, unknown)[kind][at]
                    took[kind].append(ask(path, {"email": email} | more))
                p = ks_p(*took)
                worst = min(worst, p)
                rows.append((name, *(statistics.median(each) for each in took), p))
            opened.close()
    show(("what", "known ms", "unknown ms", "p"), rows)
    finish(calls=calls, worst_p=worst, told=worst < LEAST_P)


if __name__ == "__main__":
    main()
