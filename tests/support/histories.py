"""Every value that a field of one object takes, as the watch tells it."""

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.demo.kube import Kube


class History:
    """Values in their order, equal neighbours once; a field that is not there has its default."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def numbers(self, default: int = 1) -> list[int]:
        lines = self._file.read_text().splitlines()
        return [number for number, _ in itertools.groupby(int(line or default) for line in lines)]


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
