"""What all clusters of this machine share: the numbers, and the host's own settings.

Kubelet sets six sysctls, and a private mount needs a folder below it. Both belong to the machine,
so they are recorded by the first cluster and put back when the last one ends.
"""

from __future__ import annotations

import fcntl
import json
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hack.cluster.errors import ClusterError
from hack.cluster.model import NUMBERS
from hack.cluster.paths import locked, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

SYSCTLS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
# containerd and kubelet write below these whatever their configuration says, so the node mounts
# a tmpfs over each.
MOUNT_POINTS = ("/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/var/log/pods")


def candidates(wanted: int | None, previous: int | None) -> Iterator[int]:
    """Order the numbers to try: the one asked for alone, else the last one used, then the rest."""
    if wanted is not None:
        if wanted not in NUMBERS:
            raise ClusterError(f"--number {wanted}: use {NUMBERS[0]} to {NUMBERS[-1]}")
        yield wanted
        return
    if previous is not None and previous in NUMBERS:
        yield previous
    yield from (number for number in NUMBERS if number != previous)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The host, by the folders that hold its settings and our record of them."""

    records: Path
    sysctls: Path
    mount_points: tuple[Path, ...]

    def lease_number(self, numbers: Iterable[int], occupied: frozenset[int]) -> tuple[int, TextIO]:
        """Take the first free number; it is taken as long as any process holds the open file.

        ``occupied`` are numbers whose addresses something else on this machine routes already.
        """
        tried = []
        with self._locked():
            for number in numbers:
                tried.append(number)
                lock = None if number in occupied else self._try(number)
                if lock is not None:
                    return number, lock
        if len(tried) == 1:
            raise ClusterError(f"number {tried[0]} is in use: leave --number out to get a free one")
        raise ClusterError("every cluster number is in use")

    def number_in_use(self, number: int) -> bool:
        """Whether a live cluster holds the number."""
        with self._locked():
            return self._in_use(number)

    def record_once(self) -> None:
        """Remember the machine's own values, unless a running cluster has changed them already."""
        with self._locked():
            if self._recorded() is None:
                before = {
                    "boot": self._boot_id(),
                    "sysctls": {key: self._read(key) for key in SYSCTLS},
                    "absent": [str(path) for path in self.mount_points if not path.exists()],
                }
                write_atomically(self._record, json.dumps(before, indent=1))

    def restore_after_last(self) -> None:
        """Put the machine's values back, unless another cluster still runs."""
        with self._locked():
            numbers = [int(path.name) for path in self._numbers.glob("[0-9]*")]
            if any(self._in_use(number) for number in numbers):
                return
            before = self._recorded()
            if before is not None:
                for key, value in before["sysctls"].items():
                    if self._read(key) != value:
                        (self.sysctls / key).write_text(value)
                for path in before["absent"]:
                    # A folder that holds anything is not ours to remove.
                    with suppress(OSError):
                        Path(path).rmdir()
            self._record.unlink(missing_ok=True)
            for number in numbers:
                (self._numbers / str(number)).unlink(missing_ok=True)

    @property
    def _numbers(self) -> Path:
        return self.records / "numbers"

    @property
    def _record(self) -> Path:
        return self.records / "before.json"

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.records / "lock")

    def _in_use(self, number: int) -> bool:
        lock = self._try(number)
        if lock is None:
            return True
        lock.close()
        return False

    def _try(self, number: int) -> TextIO | None:
        self._numbers.mkdir(parents=True, exist_ok=True)
        handle = (self._numbers / str(number)).open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return None
        return handle

    def _recorded(self) -> dict[str, Any] | None:
        """The record, unless the machine was started again since: then its values are fresh."""
        try:
            before: dict[str, Any] = json.loads(self._record.read_text())
        except FileNotFoundError:
            return None
        return before if before["boot"] == self._boot_id() else None

    def _boot_id(self) -> str:
        return self._read("kernel/random/boot_id")

    def _read(self, key: str) -> str:
        return (self.sysctls / key).read_text().strip()


THIS = Machine(
    records=Path("/run/dgdr-cluster"),
    sysctls=Path("/proc/sys"),
    mount_points=tuple(map(Path, MOUNT_POINTS)),
)
