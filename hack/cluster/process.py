"""Processes seen from the host, told apart from later ones that got the same number."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process number together with its start, in clock ticks since boot."""

    pid: int
    started_ticks: int

    @property
    def is_alive(self) -> bool:
        return find(self.pid) == self

    def signal(self, number: int) -> None:
        """Signal it, unless it has gone in the meantime."""
        try:
            # The descriptor keeps the number from being given to someone else.
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.is_alive:
                _send(descriptor, number)
        finally:
            os.close(descriptor)

    def wait_gone(self, patience_s: float) -> bool:
        deadline = time.monotonic() + patience_s
        while self.is_alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def _send(descriptor: int, number: int) -> None:
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return


def find(pid: int) -> Process | None:
    """Read the process's identity; a zombie counts as gone."""
    try:
        # The name in parentheses may hold anything, so count from the last one.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in {"Z", "X"}:
        return None
    return Process(pid=pid, started_ticks=int(fields[19]))


def children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def program_of(pid: int) -> str:
    """The file that the process runs, or nothing when it has gone."""
    try:
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        return ""
