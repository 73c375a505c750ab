"""Is the cluster usable? Ready is not enough: taints, tokens, DNS and rules come later."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING

from hack.cluster import components, gpus, node
from hack.cluster.api import Api, ApiError, ApiUnreachable
from hack.cluster.errors import ClusterError
from hack.cluster.model import NODE_NAME, Cluster, Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Many times what a boot takes on two idle cores: a busy machine is slow, not broken.
PATIENCE_S = 120.0
POLL_S = 0.05
# Between fork and exec a process still bears the shell's name.
EXEC_PATIENCE_S = 3.0


def wait_api(cluster: Cluster, api: Api, init: int) -> None:
    """Wait until the API server serves everything that it has to before the first client."""
    programs = {"etcd", "kube-apiserver"}
    _wait(cluster, init, programs, lambda: None if api.is_ready() else "the API server's /readyz")


def wait_usable(cluster: Cluster, api: Api, init: int) -> None:
    """Wait until a pod created now would run."""
    programs = components.expected_programs(cluster.tier)
    _wait(cluster, init, programs, lambda: what_lacks(cluster, api))


def what_lacks(cluster: Cluster, api: Api) -> str | None:
    """Name the first thing that is not there yet; None when the cluster is usable."""
    try:
        if cluster.tier is Tier.FULL:
            lacking = _what_node_lacks(cluster, api)
            if lacking:
                return lacking
        api.get("/api/v1/namespaces/default/serviceaccounts/default")
    except ApiError as error:
        if error.status != 404:
            raise
        return "the ServiceAccount default"
    except ApiUnreachable:
        return "the API server"
    return None


def _what_node_lacks(cluster: Cluster, api: Api) -> str | None:
    try:
        found = api.get(f"/api/v1/nodes/{NODE_NAME}")
    except ApiError as error:
        if error.status != 404:
            raise
        return f"the registration of {NODE_NAME}"
    # The patch belongs to the wait: kubelet's first status updates, which follow each other
    # quickly until it is Ready, then carry it to allocatable.
    if found["status"].get("capacity", {}).get(gpus.RESOURCE) != str(gpus.COUNT):
        gpus.offer(api, NODE_NAME)
    conditions = {c["type"]: c["status"] for c in found["status"].get("conditions", [])}
    if conditions.get("Ready") != "True":
        return f"Ready of {NODE_NAME}"
    if found["spec"].get("taints"):
        return f"{NODE_NAME} without taints"
    if found["status"].get("allocatable", {}).get(gpus.RESOURCE) != str(gpus.COUNT):
        return f"allocatable {gpus.RESOURCE}"
    if not _answers(cluster.node_ip, 8181, "/ready"):
        return "DNS"
    return None if _answers(cluster.node_ip, 10256, "/healthz") else "kube-proxy's rules"


def _answers(address: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(address, port, timeout=2.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait(
    cluster: Cluster, init: int, programs: Iterable[str], lacking: Callable[[], str | None]
) -> None:
    began = time.monotonic()
    deadline = began + PATIENCE_S
    while (lacks := lacking()) is not None:
        dead = sorted(set(programs) - node.running_programs(init))
        if dead and time.monotonic() > began + EXEC_PATIENCE_S:
            raise ClusterError(f"{', '.join(dead)} ended while booting\n{log_tails(cluster, dead)}")
        if time.monotonic() > deadline:
            tails = log_tails(cluster, sorted(programs))
            raise ClusterError(f"still waiting for {lacks} after {PATIENCE_S:.0f} s\n{tails}")
        time.sleep(POLL_S)


def log_tails(cluster: Cluster, programs: Iterable[str]) -> str:
    """The last lines of each log: the run folder goes when the boot has failed."""
    tails = []
    for program in programs:
        log = cluster.logs / f"{program}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        tails.append("\n".join([f"--- {log}", *lines[-8:]]))
    return "\n".join(tails)
