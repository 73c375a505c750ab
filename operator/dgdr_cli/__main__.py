"""Entry point of ``kubectl-dgdr``, which kubectl finds on the PATH as ``kubectl dgdr``."""

import sys
from typing import NoReturn

# As for what was typed wrong; 1 is an answer: a request that failed, targets that are not met.
NO_ANSWER = 2


def main() -> None:
    """Run a command; what a user can cure is said in one line."""
    try:
        from rich.console import Console

        from dgdr_cli.app import app
        from dgdr_cli.errors import CliError
    except ModuleNotFoundError as exc:
        _missing(exc)
    try:
        app()
    except ModuleNotFoundError as exc:  # what only one command needs is imported by it
        _missing(exc)
    except CliError as exc:
        Console(stderr=True).print("Error:", str(exc), style="red", markup=False, soft_wrap=True)
        sys.exit(NO_ANSWER)
    except KeyboardInterrupt:
        sys.exit(130)


def _missing(exc: ModuleNotFoundError) -> NoReturn:
    """Name the extra without which this was installed."""
    if exc.name is None or exc.name.startswith("dgdr_"):
        raise exc
    print(f"kubectl-dgdr needs {exc.name}: pip install 'dgdr-operator[cli]'", file=sys.stderr)
    sys.exit(NO_ANSWER)


if __name__ == "__main__":
    main()
