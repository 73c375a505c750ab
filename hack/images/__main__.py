"""``python3 -m hack.images``: build, list, path. Results on standard output, progress beside it."""

from __future__ import annotations

import argparse
import sys

from hack.cluster.errors import ClusterError
from hack.images import builder
from hack.images.errors import ImageError


def main(argv: list[str]) -> int:
    """Run one verb; an error that we foresaw is one message, not a traceback."""
    parser = argparse.ArgumentParser(prog="python3 -m hack.images", description=__doc__)
    parser.add_argument("verb", choices=("build", "list", "path"))
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help="default: those of demo and tests"
    )
    chosen = parser.parse_args(argv)
    verbs = {"build": _build, "list": _list, "path": _path}
    try:
        return verbs[chosen.verb](chosen.targets or list(builder.TARGETS))
    except (ClusterError, ImageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _build(targets: list[str]) -> int:
    engine = builder.choose_engine()
    for target in targets:
        print(builder.build(target, engine), flush=True)
    return 0


def _list(targets: list[str]) -> int:
    engine = builder.choose_engine()
    for target in targets:
        image = builder.inspect(target, engine)
        state = f"{image.archive.stat().st_size / 1e6:.0f} MB" if image.is_built else "not built"
        print(f"{image.reference:40} {image.key} {state}")
    return 0


def _path(targets: list[str]) -> int:
    engine = builder.choose_engine()
    images = [builder.inspect(target, engine) for target in targets]
    absent = [image.target for image in images if not image.is_built]
    if absent:
        cure = f"python3 -m hack.images build {' '.join(absent)}"
        raise ImageError(f"not built: {', '.join(absent)}; run: {cure}")
    for image in images:
        print(image.archive)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
