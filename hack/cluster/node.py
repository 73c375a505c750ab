"""The node's namespaces: entered through its PID 1, set up by one script each side."""

from __future__ import annotations

import ipaddress
import json
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

from hack.cluster import machine, process
from hack.cluster.errors import ClusterError
from hack.cluster.model import NODE_NAME, NUMBERS, Cluster, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hack.cluster.components import Component

# Nothing of the caller's environment gets in: a proxy or a KUBECONFIG would change what runs.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/",
    # A sixth of the API server's CPU goes into collecting garbage that a cluster of tests can keep.
    "GOGC": "400",
}


def inside(init: int, *command: str) -> list[str]:
    """The command line that runs ``command`` in the node's namespaces."""
    namespaces = ("--mount", "--net", "--pid", "--uts", "--ipc")
    return ["nsenter", "--target", str(init), *namespaces, "--", *command]


def run_inside(init: int, script: str) -> None:
    """Run a shell script in the node; its first failing command ends it."""
    _checked(inside(init, "sh", "-c", f"set -eu; cd /\n{script}"), "setting up the node")


def connect(cluster: Cluster, init: int) -> None:
    """Lay the veth pair, and route the cluster's addresses to the node."""
    ip = f"""
ip link add {cluster.link} type veth peer name eth0 netns {init}
ip addr add {cluster.host_ip}/30 dev {cluster.link}
ip link set {cluster.link} up
ip route add {cluster.service_cidr} via {cluster.node_ip}
ip route add {cluster.pod_cidr} via {cluster.node_ip}
"""
    _checked(["sh", "-c", f"set -eu\n{ip}"], "connecting the node")


def setup_script(cluster: Cluster) -> str:
    """What is done inside before the first component starts."""
    lines = [
        "ip link set lo up",
        f"echo {NODE_NAME} >/proc/sys/kernel/hostname",
        f"ip addr add {cluster.node_ip}/30 dev eth0",
        "ip link set eth0 up",
        # Without a route that covers it, the kernel refuses a ClusterIP before it is translated.
        f"ip route add {cluster.service_cidr} via {cluster.host_ip}",
    ]
    if cluster.tier is Tier.LIGHT:
        return "\n".join(lines)
    lines += [
        "echo 1 >/proc/sys/net/ipv4/ip_forward",
        "mount --make-rshared /",
        "mount -t tmpfs -o mode=755 tmpfs /run",
        "mkdir -p /run/netns /run/containerd",
    ]
    for folder in machine.MOUNT_POINTS:
        lines += [f"mkdir -p {folder}", f"mount -t tmpfs tmpfs {folder}"]
    return "\n".join(lines)


def start(cluster: Cluster, init: int, components: Sequence[Component]) -> None:
    """Start them all as children of the node's PID 1, each with its own log."""
    lines = []
    for component in components:
        log = shlex.quote(str(cluster.logs / f"{component.program}.log"))
        lines.append(f"setsid {shlex.join(component.argv)} >>{log} 2>&1 </dev/null &")
    run_inside(init, "\n".join(lines))


def running_programs(init: int) -> frozenset[str]:
    """The names of the programs that PID 1 has as children."""
    paths = [process.program_of(pid) for pid in process.children(init)]
    return frozenset(path.rpartition("/")[2] for path in paths)


def occupied_numbers() -> frozenset[int]:
    """Numbers whose addresses this machine already routes, be it for another tool."""
    listed = subprocess.run(
        ["ip", "-json", "-4", "route", "show"], capture_output=True, text=True, check=False
    )
    routes: list[dict[str, Any]] = json.loads(listed.stdout or "[]")
    return overlapping_numbers(route["dst"] for route in routes)


def overlapping_numbers(destinations: Iterable[str]) -> frozenset[int]:
    """Which numbers' networks overlap with the routes' destinations; the default route does not."""
    networks = [ipaddress.ip_network(d, strict=False) for d in destinations if d != "default"]
    return frozenset(
        number
        for number in NUMBERS
        for block in (200, 201, 202)
        if any(ipaddress.ip_network(f"10.{block}.{number}.0/24").overlaps(n) for n in networks)
    )


def _checked(command: list[str], what: str) -> None:
    done = subprocess.run(
        command,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ClusterError(f"{what} failed: {done.stderr.strip()[-1000:]}")
