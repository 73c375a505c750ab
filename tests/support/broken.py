"""Ways in which a candidate fails on a cluster, and how each is seen from outside."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hack.demo.kube import Kube, Manifest
from support.blows import evict
from support.e2e import MOCKER_IMAGE, POLICY

LITTLE = {"cpu": "10m", "memory": "8Mi"}
"""What containers request that fail at once, so that many find room on a small machine."""
NEVER_PULLED = "registry.test/dgdr/nothing:dev"
NO_NAME = "registry.test/dgdr/Nothing:dev"
SCHEDULE_TIMEOUT_S = 5
READY_TIMEOUT_S = 30
# A first error of a registry is tried again; the kubelet's second try comes 10 to 15 s after it.
SECOND_PULL_S = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One way to break the engine of a request.

    ``main`` and ``pod`` are merged over the worker's main container and pod. ``sign`` is the word
    of kubelet or scheduler by which the failure is visible, ``patience_s`` how long the profiler
    may hope after that. ``said`` are parts of what the request's status must say. ``blow`` is what
    happens to the engine's pod from outside; it says whether the pod was there for it.
    """

    said: tuple[str, ...]
    sign: str
    main: Manifest = field(default_factory=dict)
    pod: Manifest = field(default_factory=dict)
    patience_s: float = 0.0
    policy: str = POLICY
    gpus: int = 1
    blow: Callable[[Kube, Manifest], bool] | None = None

    def override(self) -> Manifest:
        """``spec.overrides.dgd`` that breaks an aggregated engine."""
        main = {"name": "main", "resources": {"requests": LITTLE}, **self.main}
        frontend = {"name": "main", "resources": {"requests": LITTLE}}
        return {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeployment",
            "spec": {
                "components": [
                    _component("worker", {"containers": [main], **self.pod}),
                    _component("frontend", {"containers": [frontend]}),
                ]
            },
        }


def _component(name: str, pod: Manifest) -> Manifest:
    return {"name": name, "podTemplate": {"spec": pod}}


def program(code: str) -> Manifest:
    """A container that runs a line of Python, whatever arguments an engine gets."""
    return {"command": ["python3", "-c", code]}


def beside(name: str, code: str, **more: object) -> Manifest:
    """A pod with a container that starts before the main one."""
    container = {
        "name": name, "image": MOCKER_IMAGE, "imagePullPolicy": "Never",
        "resources": {"requests": LITTLE}, **program(code), **more,
    }  # fmt: skip
    return {"initContainers": [container]}


SLEEP = program("import time; time.sleep(3600)")
FILL = "import time; open('/tmp/filled', 'wb').write(bytes(50_000_000)); time.sleep(3600)"

BREACHES = {
    "no-image": Breach(
        main={"image": NEVER_PULLED, "imagePullPolicy": "IfNotPresent"},
        sign="ErrImagePull",
        patience_s=SECOND_PULL_S,
        said=("cannot be pulled", NEVER_PULLED),
    ),
    "not-loaded": Breach(
        main={"image": NEVER_PULLED, "imagePullPolicy": "Never"},
        sign="ErrImageNeverPull",
        said=("cannot be pulled", NEVER_PULLED),
    ),
    "no-name": Breach(
        main={"image": NO_NAME},
        sign="InvalidImageName",
        said=("cannot be pulled", NO_NAME),
    ),
    "crash": Breach(
        main=program("print('no such device'); raise SystemExit(3)"),
        sign="CrashLoopBackOff",
        said=("container main", "exit code 3", "no such device"),
    ),
    "init": Breach(
        pod=beside("fetch", "print('no such model'); raise SystemExit(4)"),
        sign="CrashLoopBackOff",
        said=("container fetch", "exit code 4", "no such model"),
    ),
    "sidecar": Breach(
        pod=beside("proxy", "raise SystemExit(5)", restartPolicy="Always"),
        sign="CrashLoopBackOff",
        said=("container proxy", "exit code 5"),
    ),
    "memory": Breach(
        main={"resources": {"requests": LITTLE, "limits": {"memory": "24Mi"}}},
        sign="OOMKilled",
        said=("container main", "OOMKilled"),
    ),
    "sleeper": Breach(
        main=SLEEP,
        sign="Running",
        patience_s=READY_TIMEOUT_S,
        policy="hurried",
        said=(f"not serving after {READY_TIMEOUT_S} s",),
    ),
    "drained": Breach(
        main=SLEEP,
        # The program does not heed SIGTERM; an engine that finishes its requests takes as long.
        pod={"terminationGracePeriodSeconds": 10},
        blow=evict,
        sign="EvictionByEvictionAPI",
        said=("EvictionByEvictionAPI",),
    ),
    "evicted": Breach(
        main={
            **program(FILL),
            "resources": {"requests": LITTLE, "limits": {"ephemeral-storage": "1Mi"}},
        },
        sign="Evicted",
        said=("Evicted", "ephemeral"),
    ),
    "too-large": Breach(
        sign="Unschedulable",
        patience_s=SCHEDULE_TIMEOUT_S,
        policy="large",
        gpus=32,
        said=(f"no node for {SCHEDULE_TIMEOUT_S} s", "Insufficient nvidia.com/gpu"),
    ),
}


def signs(pod: Manifest) -> set[str]:
    """Every word that says how a pod and its containers fare."""
    return set(_signs(pod.get("status", {})))


def _signs(status: Manifest) -> Iterator[str]:
    yield str(status.get("phase"))
    yield from (c["reason"] for c in status.get("conditions", []) if c.get("reason"))
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind, []):
            yield from _reasons(container)


def _reasons(container: dict[str, Any]) -> Iterator[str]:
    for state in (container.get("state", {}), container.get("lastState", {})):
        yield from (details["reason"] for details in state.values() if "reason" in details)
