"""Wall time of each stage, said while it runs and kept as JSON."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Stages:
    """The stages of one run, in order."""

    began: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside, under that name."""
        self.say(f"\033[1m{name}\033[0m")
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - start, 1)

    def say(self, text: str) -> None:
        """Print a line with the time since the start."""
        elapsed = time.monotonic() - self.began
        print(f"[{elapsed:6.1f} s] {text}", flush=True)

    def report(self, path: Path, **facts: object) -> None:
        """Print the table of stages and write it with ``facts`` to a file."""
        total = round(time.monotonic() - self.began, 1)
        for name, seconds in self.seconds.items():
            print(f"  {seconds:7.1f} s  {name}")
        print(f"  {total:7.1f} s  in all", file=sys.stdout, flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"total_s": total, "stages_s": self.seconds, **facts}, indent=2))
