"""Every value that a field of one object takes, as the watch tells it."""

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.demo.kube import Kube


class History:
    """Values in their order, equal neighbours once; a field that is not there is empty."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def values(self) -> list[str]:
        found: list[str] = []
        for line in self._file.read_text().splitlines():
            if not found or found[-1] != line:
                found.append(line)
        return found

    def numbers(self, default: int = 1) -> list[int]:
        return [int(value or default) for value in self.values()]


@contextmanager
def history(
    kube: Kube, kind: str, name: str, namespace: str, path: str, folder: Path
) -> Iterator[History]:
    """Follow one field, a JSONPath such as ``.spec.replicas``, until the end."""
    file = folder / f"{kind}-{name}{path.replace('/', '-')}.txt"
    command = [
        str(kube.bin_dir / "kubectl"), "--kubeconfig", str(kube.kubeconfig), "get", kind, name,
        "--namespace", namespace, "--watch", "--output", f'jsonpath={{{path}}}{{"\\n"}}',
    ]  # fmt: skip
    with file.open("w") as out:
        process = subprocess.Popen(command, stdout=out)
        try:
            yield History(file)
        finally:
            process.terminate()
            process.wait(timeout=30)


def falls(numbers: list[int]) -> int:
    """How often a number became smaller."""
    return sum(later < earlier for earlier, later in itertools.pairwise(numbers))
