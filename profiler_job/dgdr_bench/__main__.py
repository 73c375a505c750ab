"""``python -m dgdr_bench endpoint``: drive load at an endpoint, print one JSON object.

Exit codes: 0 when every request was answered; 1 when one was not, or there is no result; 2 when the
load cannot be driven as asked.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from dgdr_bench.endpoint import Endpoint, drive, text
from dgdr_load.load import InvalidLoad
from dgdr_load.runner import LoadFailed

OK, LOST, INVALID = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a benchmark and return its exit code."""
    chosen = _parser().parse_args(arguments)
    asked = Endpoint(
        **{name: value for name, value in vars(chosen).items() if name not in ("benchmark", "out")}
    )
    try:
        driven = asyncio.run(drive(asked))
    except InvalidLoad as exc:
        print(exc, file=sys.stderr)
        return INVALID
    except LoadFailed as exc:
        print(exc, file=sys.stderr)
        return LOST
    if driven.warning is not None:
        print(driven.warning, file=sys.stderr)
    print(text(driven))
    if chosen.out is not None:
        chosen.out.write_text(text(driven) + "\n")
    return LOST if driven.result.lost else OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dgdr_bench", description=__doc__)
    benchmarks = parser.add_subparsers(dest="benchmark", required=True)
    endpoint = benchmarks.add_parser("endpoint", help="one load against an OpenAI endpoint")
    endpoint.add_argument("--url", required=True, help="such as http://q-dgd-frontend:8000")
    endpoint.add_argument("--model", required=True, help="name under which it is served")
    endpoint.add_argument("--tokenizer", required=True, help="folder or hub name")
    endpoint.add_argument("--isl", type=int, required=True, help="tokens of a prompt")
    endpoint.add_argument("--osl", type=int, required=True, help="tokens of an answer")
    shape = endpoint.add_mutually_exclusive_group(required=True)
    shape.add_argument("--request-rate", dest="request_rate_per_s", type=float, help="a second")
    shape.add_argument("--concurrency", type=int, help="requests in flight")
    end = endpoint.add_mutually_exclusive_group(required=True)
    end.add_argument("--duration", dest="duration_s", type=float, help="seconds of sending")
    end.add_argument("--requests", type=int, help="requests to send")
    endpoint.add_argument("--request-timeout", dest="request_timeout_s", type=float, default=60.0)
    endpoint.add_argument(
        "--grace", dest="grace_s", type=float, default=30.0, help="seconds for the last answers"
    )
    endpoint.add_argument("--seed", type=int, help="of the prompts; default: new ones every time")
    endpoint.add_argument("--out", type=Path, help="file for the JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(main())
