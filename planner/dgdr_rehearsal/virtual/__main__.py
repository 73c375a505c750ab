"""``python -m dgdr_rehearsal.virtual``: a planner for whatever runs the engines.

One JSON object per line in, one per line out, each flushed; or the same over HTTP.
"""

import argparse
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from dgdr_planner.policy import Policy
from dgdr_rehearsal.offline import OfflineError, read_planner, read_profile
from dgdr_rehearsal.virtual.session import Session, answer_line

UNUSABLE = 2


def main(arguments: list[str] | None = None) -> int:
    """Answer until there is no more; return the exit status."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    given = _parser().parse_args(arguments)
    try:
        session = open_session(given.spec, given.profile)
    except OfflineError as exc:
        _say(f"error: {exc}")
        return UNUSABLE
    if given.http is not None:
        return _serve(session, *given.http)
    try:
        answer_lines(session, sys.stdin.buffer, sys.stdout)
    except BrokenPipeError:
        # Nobody reads any more; Python must not try to flush once again on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return 0


def _serve(session: Session, host: str, port: int) -> int:
    from dgdr_rehearsal.virtual.server import serve

    try:
        serve(session, host, port, _say)
    except OSError as exc:
        _say(f"error: {host}:{port} cannot be served: {exc.strerror or exc}")
        return UNUSABLE
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def open_session(spec: Path, profile: Path) -> Session:
    """Make a session from files.

    Raises:
        OfflineError: one of them cannot be used.
    """
    planner = read_planner(spec)
    policy = Policy.of(planner.spec)
    if policy.budget_ref is not None:
        raise OfflineError(
            f"{spec}: spec.budget.ref is {policy.budget_ref}, which lives in a cluster; give"
            " spec.budget.gpus"
        )
    return Session(policy, read_profile(profile), planner.metadata.name)


def answer_lines(session: Session, lines: Iterable[bytes], out: IO[str]) -> None:
    """Answer every line as soon as it is there."""
    for line in lines:
        print(answer_line(session, line), file=out, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dgdr_rehearsal.virtual", description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="an SLAPlanner manifest")
    parser.add_argument(
        "--profile",
        type=Path,
        required=True,
        help="folder with selected_*_interpolation/raw_data.npz, or *_raw_data.json",
    )
    parser.add_argument(
        "--http", type=_address, metavar="HOST:PORT", help="serve HTTP instead of reading lines"
    )
    return parser


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT, such as 127.0.0.1:8080")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    sys.exit(main())
