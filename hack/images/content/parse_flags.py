"""Give lists of arguments to the parser of ``dynamo.vllm``, and print what it refuses as JSON.

Usage: ``python parse_flags.py FILE MODEL``. The file has one list for each name. Each is parsed
with ``MODEL`` in place of its own model, which the parser would look up.
"""

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from dynamo.vllm.args import parse_args


def refusal(args: Sequence[str]) -> str | None:
    """Return why the parser refuses arguments; None where it takes them."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            parse_args(list(args))
    except SystemExit:
        return told.getvalue().strip().splitlines()[-1]
    except (ValueError, OSError) as exc:
        return str(exc)
    return None


def with_model(args: Sequence[str], model: str) -> list[str]:
    """Return arguments with another model."""
    return [
        model if before == "--model" else item
        for before, item in zip(["", *args], args, strict=False)
    ]


if __name__ == "__main__":
    lists = json.loads(Path(sys.argv[1]).read_text())
    refused = {name: refusal(with_model(args, sys.argv[2])) for name, args in lists.items()}
    print(json.dumps({name: why for name, why in refused.items() if why}))
