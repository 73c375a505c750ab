"""One DGDR from apply to Deployed, watched through kubectl alone."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hack.demo.kube import Kube, Manifest, TimedOut, condition

Say = Callable[[str], None]


@dataclass(slots=True)
class Watched:
    """What was seen while a DGDR was profiled."""

    candidates: dict[str, int] = field(default_factory=dict)
    """GPUs that the pods of each candidate requested together."""
    lines: list[str] = field(default_factory=list)
    uids: dict[str, set[str]] = field(default_factory=dict)
    """UIDs under which each candidate existed: more than one means it was made again."""


def gpus_requested(pod: Manifest) -> int:
    """GPUs that the containers of a pod ask for."""
    return sum(
        int(c.get("resources", {}).get("requests", {}).get("nvidia.com/gpu", 0))
        for c in pod["spec"]["containers"]
    )


def note_candidates(kube: Kube, namespace: str, seen: Watched) -> None:
    """Record which candidates exist now and the GPUs that their pods hold."""
    for dgd in kube.list("dgd", namespace, "dgdr.dev/candidate"):
        name = dgd["metadata"]["labels"]["dgdr.dev/candidate"]
        seen.uids.setdefault(name, set()).add(dgd["metadata"]["uid"])
        graph = dgd["metadata"]["name"]
        pods = kube.list("pods", namespace, f"nvidia.com/dynamo-graph-deployment-name={graph}")
        held = sum(gpus_requested(pod) for pod in pods)
        seen.candidates[name] = max(held, seen.candidates.get(name, 0))


def describe(dgdr: Manifest) -> str:
    """One line that says where a DGDR stands."""
    status = dgdr.get("status", {})
    if not status.get("phase"):
        return "applied, and not yet seen by the operator"
    where = "/".join(filter(None, [status["phase"], status.get("profilingPhase")]))
    about = "Profiling" if status["phase"] in ("Pending", "Profiling") else "Succeeded"
    return f"{where}: {condition(dgdr, about).get('message', '')}"


def watch(
    kube: Kube,
    name: str,
    namespace: str,
    *,
    until: Callable[[Manifest], bool],
    timeout_s: float,
    say: Say,
    seen: Watched | None = None,
) -> Watched:
    """Follow a DGDR until ``until`` holds, saying every change; raise when it fails first."""
    seen = seen or Watched()
    deadline = time.monotonic() + timeout_s
    line = ""
    while time.monotonic() < deadline:
        dgdr = kube.get("dgdr", name, namespace)
        note_candidates(kube, namespace, seen)
        if dgdr is not None:
            if describe(dgdr) != line:
                line = describe(dgdr)
                seen.lines.append(line)
                say(line)
            if until(dgdr):
                return seen
            if dgdr.get("status", {}).get("phase") == "Failed":
                raise TimedOut(f"{name} failed: {line}")
        time.sleep(1)
    raise TimedOut(f"{name}: not there within {timeout_s:.0f} s; last seen: {line}")


def in_phase(*phases: str) -> Callable[[Manifest], bool]:
    """Return a predicate that holds in any of the phases."""
    return lambda dgdr: dgdr.get("status", {}).get("phase") in phases
