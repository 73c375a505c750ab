"""``python3 -m hack.cluster``: up, down, status, build, load, nodes, verify-kind-config."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from hack.cluster import kind, kwok, marker, native, paths, status, tools
from hack.cluster.api import Api
from hack.cluster.errors import ClusterError
from hack.cluster.model import Tier, checked_name

DEFAULT_NAME = "dev"


def main(argv: list[str]) -> int:
    """Run one verb; an error that we foresaw is one message, not a traceback."""
    options = _parser().parse_args(argv)
    try:
        return int(options.run(options))
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m hack.cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default=DEFAULT_NAME, type=checked_name)

    verb = verbs.add_parser("up", parents=[named], help="boot it, or keep the one that runs")
    verb.add_argument("--tier", type=Tier, choices=list(Tier), default=Tier.FULL)
    verb.add_argument("--number", type=int, help="1 to 250; default: a free one")
    verb.add_argument("--owner", type=int, metavar="PID", help="end it with this process")
    verb.set_defaults(run=_up)
    verb = verbs.add_parser("down", parents=[named], help="end it and leave nothing behind")
    verb.set_defaults(run=_down)
    verb = verbs.add_parser("status", parents=[named], help="exit code 0: it runs, 1: it does not")
    verb.add_argument("--json", action="store_true")
    verb.set_defaults(run=_status)
    verb = verbs.add_parser("build", help="build binaries; prints their folder")
    verb.add_argument("--tier", choices=sorted(tools.SETS), default=tools.FULL.name)
    verb.set_defaults(run=_build)
    verb = verbs.add_parser("load", parents=[named], help="import OCI archives, each digest once")
    verb.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE")
    verb.set_defaults(run=_load)
    verb = verbs.add_parser("nodes", parents=[named], help="add fake GPU nodes")
    verb.add_argument("--count", type=int, default=2)
    verb.add_argument("--gpus", type=int, default=8, help="GPUs of each node")
    verb.set_defaults(run=_nodes)
    verb = verbs.add_parser("verify-kind-config", help="decode kind-config.yaml as kind does")
    verb.set_defaults(run=_verify_kind_config)
    return parser


def _up(options: argparse.Namespace) -> int:
    began = time.monotonic()
    stages_s: dict[str, float] = {}
    with paths.locked_cluster(options.name):
        if kind.docker_answers():
            kind.up(options.name, options.tier)
        else:
            stages_s = native.up(options.name, options.tier, options.number, options.owner)
    if stages_s:
        detail = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in stages_s.items())
        print(f"booted in {sum(stages_s.values()):.1f} s ({detail})")
    else:
        print(f"ready after {time.monotonic() - began:.1f} s")
    print(status.render(status.inspect(options.name)))
    return 0


def _down(options: argparse.Namespace) -> int:
    with paths.locked_cluster(options.name):
        found = marker.read(paths.home_of(options.name))
        by_kind = found is not None and found.backend == marker.KIND
        existed = (kind if by_kind else native).down(options.name)
        paths.lock_of(options.name).unlink()
    print(f"cluster {options.name} is gone" if existed else f"there is no cluster {options.name}")
    return 0


def _status(options: argparse.Namespace) -> int:
    found = status.inspect(options.name)
    print(json.dumps(found.to_json(), indent=1) if options.json else status.render(found))
    return 0 if found.running else 1


def _build(options: argparse.Namespace) -> int:
    print(tools.ensure(tools.SETS[options.tier]))
    return 0


def _load(options: argparse.Namespace) -> int:
    found = native.running(options.name)
    if found.backend == marker.KIND:
        done = kind.load(options.name, options.archives)
    else:
        done = native.load_archives(found, options.archives)
    for reference, what in done.items():
        print(f"{reference}: {what}")
    return 0


def _nodes(options: argparse.Namespace) -> int:
    found = native.running(options.name)
    if found.tier is not Tier.LIGHT:
        raise ClusterError(f"cluster {found.name} has tier {found.tier}: its nodes are real")
    cluster = native.cluster_of(found)
    api = Api(cluster.server, cluster.pki)
    names = kwok.add_gpu_nodes(api, options.count, gpus_per_node=options.gpus)
    print(f"{', '.join(names)}: {options.gpus} GPUs each")
    return 0


def _verify_kind_config(options: argparse.Namespace) -> int:
    del options
    kind.verify_config()
    print(f"{kind.CONFIG.name} is a valid v1alpha4 configuration of the pinned kind")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
