"""Screens of the command line as text, against goldens; ``UPDATE_GOLDENS=1`` writes them anew."""

import io
import os
from pathlib import Path

from rich.console import Console, RenderableType

GOLDENS = Path(__file__).parents[1] / "golden" / "screens"
WIDTHS = (80, 120)


def drawn(screen: RenderableType, width: int) -> str:
    """Return what a terminal of this width shows, without colours."""
    text = io.StringIO()
    Console(file=text, width=width, force_terminal=False).print(screen)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    return "\n".join(lines) + "\n"


def check_screen(name: str, screen: RenderableType) -> None:
    """Compare a screen at each width with what somebody has looked at."""
    for width in WIDTHS:
        shown, path = drawn(screen, width), GOLDENS / f"{name}-{width}.txt"
        if os.environ.get("UPDATE_GOLDENS"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(shown)
        assert path.read_text() == shown
