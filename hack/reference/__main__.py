"""``python3 -m hack.reference mappings | options | flags [NAME...]``: make records anew.

``mappings`` and ``options`` are what AIConfigurator says: of models over GPUs, and of the names of
TensorRT-LLM's engine options. ``flags`` asks the programs of the engines, by record
(``vllm-1.6.1``) or all: each has an environment of its own, of up to 8 GB.
"""

from __future__ import annotations

import argparse
import sys

from hack.cluster.paths import REPOSITORY
from hack.reference import aiconfigurator, programs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["mappings", "options", "flags"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="records of flags; default all")
    asked = parser.parse_args()
    match asked.what:
        case "mappings":
            written = iter([aiconfigurator.record_mappings()])
        case "options":
            written = iter([aiconfigurator.record_options()])
        case _:
            written = programs.records(asked.names)
    for path in written:
        print(path.relative_to(REPOSITORY), file=sys.stderr)


if __name__ == "__main__":
    main()
