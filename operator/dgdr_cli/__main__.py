"""Entry point of ``kubectl-dgdr``, which kubectl finds on the PATH as ``kubectl dgdr``."""

import sys

from rich.console import Console

from dgdr_cli.app import app
from dgdr_cli.errors import CliError


def main() -> None:
    """Run a command; what a user can cure is said in one line."""
    try:
        app()
    except CliError as exc:
        Console(stderr=True).print("Error:", str(exc), style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
