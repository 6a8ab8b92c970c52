"""`make chaos`: one long run. `SEED=` names its faults, `SECONDS=` how long they go on, `KILLS=`
after how many kills they end."""

import os
import sys
import time

from chaos.cluster import Cluster
from chaos.run import Run, run


def main() -> None:
    seed = int(os.environ.get("SEED") or time.time_ns() % 1_000_000)
    kills = int(os.environ["KILLS"]) if os.environ.get("KILLS") else None
    seconds = float(os.environ.get("SECONDS") or (60 if kills is None else 86_400))
    print(f"chaos with SEED={seed}; again with: make chaos SEED={seed}", flush=True)
    cluster = Cluster(seed)
    try:
        report = run(cluster, Run(seed=seed, seconds=seconds, kills=kills))
    finally:
        cluster.close()
    print(report)
    sys.exit(bool(report.wrong))


if __name__ == "__main__":
    main()
