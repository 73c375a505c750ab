"""What happens to an engine's pod from outside: an eviction, the loss of its node.

The cluster has one machine, so the node that is lost is one whose kubelet was heard once, when it
registered. What follows is the cluster's own: after 50 s of silence the node is unreachable, and
the taint manager deletes its pods, which stay until somebody gives the node up.
"""

import json
from datetime import UTC, datetime
from typing import Any

from hack.demo.kube import Kube, Manifest

LOST_NODE = "lost"
_TAINT = "dgdr.dev/lost"
TOLERATIONS = [
    {"key": _TAINT, "operator": "Exists"},
    # Without it a pod stays on an unreachable node for five minutes.
    {
        "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
        "tolerationSeconds": 0,
    },
]  # fmt: skip


def evict(kube: Kube, pod: Manifest) -> bool:
    """Evict a pod that runs, as `kubectl drain` does."""
    if pod["status"].get("phase") != "Running":
        return False
    where = {key: pod["metadata"][key] for key in ("name", "namespace")}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": where}
    url = f"/api/v1/namespaces/{where['namespace']}/pods/{where['name']}/eviction"
    kube.run("create", "--raw", url, "--filename", "-", stdin=json.dumps(eviction))
    return True


def register(kube: Kube) -> None:
    """Let the node appear that is lost soon; no pod goes there that does not tolerate it."""
    capacity = {"cpu": "4", "memory": "8Gi", "pods": "9", "nvidia.com/gpu": "1"}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now}
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": LOST_NODE, "labels": {"kubernetes.io/hostname": LOST_NODE}},
            "spec": {"taints": [{"key": _TAINT, "effect": "NoSchedule"}]},
            "status": {"capacity": capacity, "allocatable": capacity, "conditions": [ready]},
        }
    )


def run_on_a_node_that_is_lost(kube: Kube, pod: Manifest) -> bool:
    """Say that a pod runs and is Ready, as its kubelet would with its last word."""
    if pod["spec"].get("nodeName") != LOST_NODE:
        return False
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    kube.run(
        "patch", "pod", name, "--namespace", namespace, "--subresource=status", "--type=strategic",
        "--patch", json.dumps({"status": _running(pod)}),
    )  # fmt: skip
    return True


def _running(pod: Manifest) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = ("Initialized", "Ready", "ContainersReady")
    container = pod["spec"]["containers"][0]
    return {
        "phase": "Running",
        "startTime": now,
        "conditions": [{"type": kind, "status": "True"} for kind in ready],
        "containerStatuses": [
            {
                "name": container["name"], "image": container["image"], "imageID": "",
                "ready": True, "started": True, "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
        ],
    }  # fmt: skip


def give_up(kube: Kube, namespace: str) -> None:
    """Delete the pods of the lost node and the node, as who knows that the machine is gone does."""
    for pod in kube.list("pods", namespace):
        if pod["spec"].get("nodeName") == LOST_NODE:
            kube.run(
                "delete", "pod", pod["metadata"]["name"], "--namespace", namespace,
                "--grace-period=0", "--force", "--ignore-not-found",
            )  # fmt: skip
    kube.run("delete", "node", LOST_NODE, "--ignore-not-found")
