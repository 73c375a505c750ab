"""kubectl and helm as functions, objects as JSON, and one way to wait."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hack.demo import objects
from hack.demo.objects import Manifest

T = TypeVar("T")


class CommandFailed(RuntimeError):
    """A command or a read ended with an error; the message holds what it said."""


class TimedOut(RuntimeError):
    """What was waited for did not come; the message says what was seen last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kube:
    """Commands against one cluster and nothing else."""

    bin_dir: Path
    kubeconfig: Path

    def run(self, *args: str, stdin: str | None = None, timeout_s: float = 120) -> str:
        """Run kubectl and return what it prints."""
        return self._command("kubectl", *args, stdin=stdin, timeout_s=timeout_s)

    def helm(self, *args: str, timeout_s: float = 180) -> str:
        """Run helm and return what it prints."""
        return self._command("helm", *args, timeout_s=timeout_s)

    def _command(
        self, tool: str, *args: str, stdin: str | None = None, timeout_s: float = 120
    ) -> str:
        command = [str(self.bin_dir / tool), "--kubeconfig", str(self.kubeconfig), *args]
        # Both tools cache what a cluster serves, otherwise below the user's home.
        environment = os.environ | {"KUBECACHEDIR": str(self.kubeconfig.parent / "kubectl-cache")}
        done = subprocess.run(
            command,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailed(f"{tool} {' '.join(args)}: {done.stderr.strip() or done.stdout}")
        return done.stdout

    def apply(self, *manifests: Manifest) -> None:
        """Apply manifests in the order given."""
        for manifest in manifests:
            self.run("apply", "--filename", "-", stdin=json.dumps(manifest))

    def apply_all(self, manifests: Sequence[Manifest]) -> None:
        """Apply manifests with one command."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.run("apply", "--filename", "-", stdin=json.dumps(items))

    def apply_file(self, path: Path) -> None:
        """Apply a file of manifests as a user would."""
        self.run("apply", "--filename", str(path))

    def get(self, kind: str, name: str, namespace: str) -> Manifest | None:
        """Return one object, or None when there is none."""
        try:
            return objects.get(self.kubeconfig, kind, name, namespace)
        except objects.FAILURES as failed:
            raise CommandFailed(f"get {kind} {name}: {failed}") from failed

    def list(self, kinds: str, namespace: str, selector: str = "") -> list[Manifest]:
        """Return the objects of kinds in a namespace, or in all for an empty one."""
        try:
            return objects.of_kinds(self.kubeconfig, kinds, namespace, selector)
        except objects.FAILURES as failed:
            raise CommandFailed(f"get {kinds}: {failed}") from failed

    def post(self, path: str, body: Manifest) -> Manifest:
        """Return what a path of the API server, a proxy's too, answers to JSON."""
        try:
            return objects.post(self.kubeconfig, path, body)
        except objects.FAILURES as failed:
            raise CommandFailed(f"post {path}: {failed}") from failed


def wait_for(
    what: str, probe: Callable[[], T | None], *, timeout_s: float, every_s: float = 1.0
) -> T:
    """Call ``probe`` until it returns something true; raise TimedOut after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = probe()
        except CommandFailed as exc:
            last = exc
        else:
            if last:
                return last  # type: ignore[return-value]
        time.sleep(every_s)
    raise TimedOut(f"{what}: not within {timeout_s:.0f} s; last seen: {last}")


def condition(obj: Manifest | None, kind: str) -> Manifest:
    """Return a condition of an object, empty when it has none."""
    found = (obj or {}).get("status", {}).get("conditions", [])
    return next((c for c in found if c["type"] == kind), {})
