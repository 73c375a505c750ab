"""What identifies one cluster, and every address and path that follows from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hack.cluster.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

NODE_NAME = "node-1"
API_PORT = 6443
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "registry.test/pause:1"

# The third byte of every address is the cluster's number.
NUMBERS = range(1, 251)

# 15 characters is the kernel's limit for an interface; the name itself only has to be a DNS label.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


class Tier(StrEnum):
    """How much of Kubernetes runs: the control plane alone, or a node with real pods too."""

    LIGHT = "light"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One native cluster. ``home`` is its state folder, ``run`` what one boot writes."""

    name: str
    tier: Tier
    number: int
    home: Path

    @property
    def context(self) -> str:
        return context_of(self.name)

    @property
    def kubeconfig(self) -> Path:
        return self.home / "kubeconfig"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def pki(self) -> Path:
        return self.run / "pki"

    @property
    def logs(self) -> Path:
        return self.run / "log"

    @property
    def link(self) -> str:
        """The host's end of the veth pair."""
        return f"dgdr{self.number}"

    @property
    def cgroup(self) -> str:
        return f"dgdr{self.number}"

    @property
    def host_ip(self) -> str:
        return f"10.200.{self.number}.1"

    @property
    def node_ip(self) -> str:
        return f"10.200.{self.number}.2"

    @property
    def service_cidr(self) -> str:
        """What the host routes to it."""
        return f"10.201.{self.number}.0/24"

    @property
    def service_range(self) -> str:
        """From what the API server takes addresses.

        In the light tier nobody calls them, so that there may be thousands of Services.
        """
        return "10.201.0.0/16" if self.tier is Tier.LIGHT else self.service_cidr

    @property
    def pod_cidr(self) -> str:
        return f"10.202.{self.number}.0/24"

    @property
    def api_cluster_ip(self) -> str:
        return f"10.201.{self.number}.1"

    @property
    def dns_ip(self) -> str:
        return f"10.201.{self.number}.10"

    @property
    def server(self) -> str:
        return f"https://{self.node_ip}:{API_PORT}"


def context_of(name: str) -> str:
    return f"dgdr-{name}"


def checked_name(name: str) -> str:
    """Refuse a name that could not be a folder, a context and a kind cluster at once."""
    if not _NAME.fullmatch(name):
        raise ClusterError(
            f"--name {name!r}: use 1 to 40 lower-case letters, digits and inner dashes"
        )
    return name
