"""`make chaos`: one long run. `SEED=` names its faults, `SECONDS=` how long they go on, `KILLS=`
after how many kills they end, `TARGET=http` goes through the API."""

import argparse
import sys
import time

from chaos.cluster import Cluster
from chaos.run import Run, run


def main() -> None:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    # Empty is as good as not given: so does make pass them.
    for name in ("seed", "seconds", "kills", "target"):
        parser.add_argument(f"--{name}", default="")
    said = parser.parse_args()
    seed = int(said.seed or time.time_ns() % 1_000_000)
    kills = int(said.kills) if said.kills else None
    seconds = float(said.seconds or (60 if kills is None else 86_400))
    target = said.target or "library"
    again = f"SEED={seed} TARGET={target}"
    print(f"chaos with {again}; again with: make chaos {again}", flush=True)
    cluster = Cluster(seed)
    try:
        report = run(cluster, Run(seed=seed, seconds=seconds, kills=kills, target=target))
    finally:
        cluster.close()
    print(report)
    sys.exit(bool(report.wrong))


if __name__ == "__main__":
    main()
