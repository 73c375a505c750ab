"""Build the cluster's binaries from their pinned go.mod files, once for each content key."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.cluster.errors import ClusterError
from hack.cluster.paths import TOOLS_SOURCE, cache_root, locked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STRIP = "-s -w"
GO_ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOTOOLCHAIN": "local",
    "GOFLAGS": "-buildvcs=false",
    "GOWORK": "off",
}
# Go names a binary after its package's folder.
RENAMED = {"server": "etcd", "cmd": "argocd"}

_KUBERNETES_LIGHT = (
    "go.etcd.io/etcd/server/v3",
    "helm.sh/helm/v3/cmd/helm",
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "k8s.io/kubernetes/cmd/kube-controller-manager",
    "k8s.io/kubernetes/cmd/kube-scheduler",
    "k8s.io/kubernetes/cmd/kubectl",
)
_KUBERNETES_FULL = (
    *_KUBERNETES_LIGHT,
    "github.com/coredns/coredns",
    "k8s.io/kubernetes/cmd/kube-proxy",
    "k8s.io/kubernetes/cmd/kubelet",
)
_CLIENTS = ("helm.sh/helm/v3/cmd/helm", "k8s.io/kubernetes/cmd/kubectl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """Packages of one go.mod that are built in one call, which keeps every core busy."""

    folder: str
    packages: tuple[str, ...]
    tags: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BinarySet:
    """What one purpose needs, cached as one folder."""

    name: str
    modules: tuple[Module, ...]

    @property
    def binaries(self) -> tuple[str, ...]:
        return tuple(binary_name(p) for m in self.modules for p in m.packages)


_KWOK = Module(folder="kwok", packages=("sigs.k8s.io/kwok/cmd/kwok",))
_KIND = Module(folder="kindconfig", packages=("sigs.k8s.io/kind",))

LIGHT = BinarySet(
    name="light", modules=(Module(folder="kubernetes", packages=_KUBERNETES_LIGHT), _KWOK)
)
FULL = BinarySet(name="full", modules=(Module(folder="kubernetes", packages=_KUBERNETES_FULL),))
PROMETHEUS = BinarySet(
    name="prometheus",
    modules=(
        Module(
            folder="prometheus",
            packages=("github.com/prometheus/prometheus/cmd/prometheus",),
            # Every other cloud's discovery client is left out: half the size and build time.
            tags="remove_all_sd,enable_kubernetes_sd",
        ),
    ),
)
KIND = BinarySet(
    name="kind", modules=(Module(folder="kubernetes", packages=_CLIENTS), _KWOK, _KIND)
)
KINDCONFIG = BinarySet(
    name="kindconfig", modules=(Module(folder="kindconfig", packages=("./kindconfig",)),)
)
# What GitOps tools make of a status; tests ask it.
VERDICTS = BinarySet(
    name="verdicts", modules=(Module(folder="verdicts", packages=("./verdicts",)),)
)
# Argo CD itself with a Redis, for `make gitops`.
ARGOCD = BinarySet(
    name="argocd",
    modules=(Module(folder="argocd", packages=("github.com/argoproj/argo-cd/v3/cmd", "./redis")),),
)
SETS = {s.name: s for s in (LIGHT, FULL, PROMETHEUS, KIND, KINDCONFIG, VERDICTS, ARGOCD)}


def binary_name(package: str) -> str:
    """The file that ``go build`` makes of a package, under the name that we call it by."""
    parts = package.split("/")
    last = parts[-2] if re.fullmatch(r"v\d+", parts[-1]) else parts[-1]
    return RENAMED.get(last, last)


def pinned_version(go_mod: str, module: str) -> str:
    """Read the version of a requirement, so that a binary's stamp follows its pin."""
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise ClusterError(f"go.mod names no version of {module}")
    return found.group(1)


def link_flags(go_mod: str) -> str:
    """Strip, and stamp the versions that Helm and clients parse (unstamped they are no version)."""
    if "helm.sh/helm/v3 v" not in go_mod:
        return STRIP
    version = pinned_version(go_mod, "k8s.io/kubernetes")
    major, minor = version.removeprefix("v").split(".")[:2]
    stamps = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "unknown",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    flags = [STRIP]
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        flags += [f"-X {package}.{key}={value}" for key, value in stamps.items()]
    helm = pinned_version(go_mod, "helm.sh/helm/v3")
    flags.append(f"-X helm.sh/helm/v3/internal/version.version={helm}")
    return " ".join(flags)


def content_key(parts: Sequence[bytes]) -> str:
    """Hash the inputs; each is preceded by its length, so that no two lists collide."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()[:16]


def set_key(binary_set: BinarySet, go_version: str, source: Path = TOOLS_SOURCE) -> str:
    """Everything that determines the binaries of a set, and nothing else."""
    parts = [go_version.encode()]
    for module in binary_set.modules:
        folder = source / module.folder
        files = sorted(p for p in folder.rglob("*") if p.suffix in {".mod", ".sum", ".go"})
        parts += [p.read_bytes() for p in files]
        parts += [link_flags((folder / "go.mod").read_text()).encode(), module.tags.encode()]
        parts += [package.encode() for package in module.packages]
    return content_key(parts)


def ensure(binary_set: BinarySet) -> Path:
    """Return the folder of the set's binaries, building them when no run has done so yet."""
    folder = _folder(binary_set, _go("version", cwd=TOOLS_SOURCE).strip())
    if folder.is_dir():
        return folder
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.is_dir():
            _build(binary_set, folder)
    return folder


def _folder(binary_set: BinarySet, go_version: str) -> Path:
    return cache_root() / "cluster-tools" / set_key(binary_set, go_version)


def _build(binary_set: BinarySet, folder: Path) -> None:
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for module in binary_set.modules:
        began = time.monotonic()
        _say(f"building {', '.join(binary_name(p) for p in module.packages)}")
        _go(*_build_arguments(module, unfinished), cwd=TOOLS_SOURCE / module.folder)
        _say(f"  built in {time.monotonic() - began:.0f} s")
    for made, name in RENAMED.items():
        if (unfinished / made).exists():
            (unfinished / made).rename(unfinished / name)
    missing = [name for name in binary_set.binaries if not (unfinished / name).is_file()]
    if missing:
        raise ClusterError(f"go build made no {', '.join(missing)}")
    unfinished.rename(folder)


def _build_arguments(module: Module, output: Path) -> list[str]:
    go_mod = (TOOLS_SOURCE / module.folder / "go.mod").read_text()
    tags = ["-tags", module.tags] if module.tags else []
    flags = ["-trimpath", *tags, "-ldflags", link_flags(go_mod), "-o", f"{output}/"]
    return ["build", *flags, *module.packages]


def _go(*arguments: str, cwd: Path) -> str:
    if shutil.which("go") is None:
        raise ClusterError("go is not on the PATH: install Go 1.26 or newer")
    done = subprocess.run(
        ["go", *arguments],
        cwd=cwd,
        env=os.environ | GO_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ClusterError(
            f"go {arguments[0]} in {cwd} failed:\n{done.stdout[-2000:]}{done.stderr[-6000:]}"
        )
    return done.stdout


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
