"""Entry point of ``kubectl-dgdr``, which kubectl finds on the PATH as ``kubectl dgdr``."""

import sys


def main() -> None:
    """Run a command; what a user can cure is said in one line."""
    try:
        from rich.console import Console

        from dgdr_cli.app import app
        from dgdr_cli.errors import CliError
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("dgdr_"):
            raise
        # Installed without the extra that names what only this program needs.
        sys.exit(f"kubectl-dgdr needs {exc.name}: pip install 'dgdr-operator[cli]'")
    try:
        app()
    except CliError as exc:
        Console(stderr=True).print("Error:", str(exc), style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
