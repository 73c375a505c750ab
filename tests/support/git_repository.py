"""A bare Git repository and one clone that pushes to it."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]
AUTHOR = {
    "GIT_AUTHOR_NAME": "platform", "GIT_AUTHOR_EMAIL": "platform@example.com",
    "GIT_COMMITTER_NAME": "platform", "GIT_COMMITTER_EMAIL": "platform@example.com",
}  # fmt: skip


class Repository:
    """Holds lists of manifests, one file each; every change is pushed at once."""

    def __init__(self, folder: Path) -> None:
        self.bare = folder / "manifests.git"
        self._clone = folder / "clone"
        _git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        _git(folder, "clone", "--quiet", str(self.bare), str(self._clone))

    @property
    def url(self) -> str:
        return self.bare.as_uri()

    def commit(self, path: str, manifests: Sequence[Manifest]) -> str:
        """Let ``path`` hold these manifests; returns the commit."""
        file = self._clone / path
        file.parent.mkdir(parents=True, exist_ok=True)
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        file.write_text(json.dumps(items, indent=1))
        return self._push(f"Change {path}")

    def take(self, folder: Path, path: str) -> str:
        """Let ``path`` hold a copy of a folder; returns the commit."""
        shutil.copytree(folder, self._clone / path)
        return self._push(f"Add {path}")

    def _push(self, subject: str) -> str:
        _git(self._clone, "add", "--all")
        _git(self._clone, "commit", "--quiet", "--allow-empty", "--message", subject)
        _git(self._clone, "push", "--quiet", "origin", "HEAD:main")
        return _git(self._clone, "rev-parse", "HEAD").strip()


def _git(where: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],
        cwd=where,
        env=os.environ | AUTHOR,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
