"""Pods as the kubelet describes them, in and out of trouble."""

from collections.abc import Iterable
from typing import Any

OOM = {"reason": "OOMKilled", "exitCode": 137}
FAILED = {"reason": "Error", "exitCode": 1}
DONE = {"reason": "Completed", "exitCode": 0}


def container(name: str = "main", **status: Any) -> dict[str, Any]:
    return {"name": name, "image": "reg.test/x:1", "restartCount": 0, **status}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return container(state={"waiting": {"reason": reason, "message": message}}, **more)


def pod(
    *main: dict[str, Any],
    init: Iterable[dict[str, Any]] = (),
    sidecars: Iterable[str] = (),
    **status: Any,
) -> dict[str, Any]:
    return {
        "metadata": {"name": "d-1"},
        "spec": {"initContainers": [{"name": n, "restartPolicy": "Always"} for n in sidecars]},
        "status": {"containerStatuses": main, "initContainerStatuses": list(init), **status},
    }


WAITS = waiting("PodInitializing")


def crashed(name: str, ended: dict[str, Any] = OOM) -> dict[str, Any]:
    return waiting(
        "CrashLoopBackOff", "back-off", name=name, restartCount=4, lastState={"terminated": ended}
    )
