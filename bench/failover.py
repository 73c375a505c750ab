"""How long until another operator goes on, however the leader ends: light cluster, real processes.

``python -m bench.failover [--times N] [--kinds killed,cut]`` prints one JSON object. ``seconds`` is
from the end of the leader to the first write of the other one, for which a deployment waits that
was asked for in that moment. ``double_writes`` counts what the old leader wrote after that: of the
kinds ``cut`` and ``hung`` it comes back while the other one leads.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.cluster import ROOT, cluster
from support.failing import KINDS, fail_over, summary

GOAL_S = 20.0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--times", type=int, default=20)
    arguments.add_argument("--kinds", default=",".join(KINDS))
    chosen = arguments.parse_args()
    told: dict[str, object] = {"goal_s": GOAL_S}
    with cluster(f"failover-{os.getpid()}") as where, tempfile.TemporaryDirectory() as folder:
        where.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        for kind in chosen.kinds.split(","):
            runs = (fail_over(where, Path(folder), kind, n) for n in range(chosen.times))
            told[kind] = summary(runs)
            print(json.dumps({kind: told[kind]}), file=sys.stderr, flush=True)
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
