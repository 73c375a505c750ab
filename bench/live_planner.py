"""Full cluster, Active: replicas and attainment over time, the planner against static settings.

``python -m bench.live_planner [--plot FILE.png]`` prints one JSON object. It uses the demo's
cluster, and makes it and the demo's deployment where they are missing. One AIPerf drives the same
phases of load on the planner first, then on its fewest and on its most replicas, held still.
A run counts only if the machine was at least 20 % idle in it, and if mocked engines were as fast
as the data that they stand for, within 15 %: otherwise something else was measured.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.live_engines import (
    Request,
    gpus_per_engine,
    itl_error,
    ttft_error,
)
from bench.live_plot import plot_png
from hack.demo import request
from hack.demo.__main__ import DGD, DGDR, NAMESPACE, URL, request_deployment
from hack.demo.kube import Kube, Manifest, wait_for
from hack.demo.load import PROFILER_IMAGE, load_running
from hack.demo.load import Load as LoadPod
from hack.demo.platform import bring_up
from hack.demo.scaling import Replicas, decisions, desired, ready

RATES_PER_S = (1.0, 3.0, 5.0, 6.0, 3.0, 1.0)
PHASE_S = 60.0
ISL, OSL = 2048, 64
SLA: dict[str, Any] = {"ttftMs": 1000, "itlMs": 28, "percentile": "p95"}
PLANNER = "planner"
LEAST = Replicas(prefill=1, decode=1)
KEPT = ("name", "namespace", "labels", "ownerReferences")
LOOK_S = 3.0
LEAST_IDLE, MOST_ERROR = 0.2, 0.15
PODS = f"nvidia.com/dynamo-graph-deployment-name={DGD}"
POD = LoadPod(name="live-load", url=URL, rate_per_s=1, requests=1, isl=ISL, osl=OSL)


@dataclass(frozen=True, slots=True)
class Look:
    """Pods of a moment; ``held`` GPUs are those of all pods that exist."""

    at_s: float
    ready: Replicas
    held_gpus: int
    idle: float


@dataclass(slots=True, kw_only=True)
class Run:
    """One controller under the load."""

    controller: str
    looks: list[Look] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    decisions: list[Manifest] = field(default_factory=list)


def cpu_times() -> tuple[float, float]:
    """Idle and all CPU time of the machine."""
    fields = [float(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def watch(kube: Kube, run: Run, ended: Callable[[], bool]) -> None:
    """Look every few seconds until the load has ended."""
    before = cpu_times()
    while not ended():
        time.sleep(LOOK_S)
        now = cpu_times()
        idle = (now[0] - before[0]) / max(now[1] - before[1], 1e-9)
        before = now
        held = sum(request.gpus_requested(pod) for pod in kube.list("pods", NAMESPACE, PODS))
        run.looks.append(Look(time.time(), ready(kube, DGD, NAMESPACE), held, idle))


def load_pod() -> Manifest:
    asked = {
        "url": URL, "isl": ISL, "osl": OSL, "rates_per_s": RATES_PER_S, "phase_s": PHASE_S,
    }  # fmt: skip
    script = Path(__file__).with_name("live_load.py").read_text()
    container = {
        "name": "load",
        "image": PROFILER_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", script, json.dumps(asked)],
        "env": [{"name": "HOME", "value": "/tmp"}],
        "resources": {"requests": {"cpu": "300m", "memory": "512Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD.name, "namespace": NAMESPACE},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }


def driven(kube: Kube, controller: str) -> Run:
    """Drive the load once and return what was seen."""
    run = Run(controller=controller)
    kube.run("delete", "pod", POD.name, "--namespace", NAMESPACE, "--ignore-not-found")
    kube.apply(load_pod())
    watch(kube, run, lambda: not load_running(kube, POD, NAMESPACE))
    log = kube.run("logs", POD.name, "--namespace", NAMESPACE)
    run.requests = [tuple(json.loads(line)) for line in log.splitlines() if line.startswith("[")]
    if not run.requests:
        raise SystemExit(f"the load's pod printed no requests: {log[-2000:]}")
    if controller == PLANNER:
        run.decisions = decisions(kube, DGD, NAMESPACE)
    return run


def patch_planner(kube: Kube, spec: dict[str, Any]) -> None:
    kube.run(
        "patch", "slap", DGD, "--namespace", NAMESPACE, "--type=merge",
        "--patch", json.dumps({"spec": spec}),
    )  # fmt: skip


def hold(kube: Kube, replicas: Replicas) -> None:
    """Suspend the planner and wait for these replicas."""
    patch_planner(kube, {"suspend": True})
    for role in ("prefill", "decode"):
        kube.run(
            "scale", "dgdsa", f"{DGD}-{role}", f"--replicas={getattr(replicas, role)}",
            "--namespace", NAMESPACE,
        )  # fmt: skip
    wait_for(
        f"{replicas}",
        lambda: (
            ready(kube, DGD, NAMESPACE) == replicas
            and desired(kube.get("dgd", DGD, NAMESPACE) or {}) == replicas
        ),
        timeout_s=240,
    )


def engine_error(run: Run, gpus: dict[str, int]) -> dict[str, float]:
    """How far engines were from their data: ITL in each phase, TTFT in the first."""
    errors = {}
    for number, rate in enumerate(RATES_PER_S):
        mine = [one for one in run.requests if one[0] == f"p{number}" and one[3] is not None]
        begin, end = min(one[1] for one in mine), max(one[1] for one in mine)
        there = [look.ready.decode for look in run.looks if begin <= look.at_s <= end]
        errors[f"itl p{number}"] = itl_error(
            mine, float(np.mean(there)), gpus["decode"], rate, ISL, OSL
        )
    lone = [one for one in run.requests if one[0] == "p0"]
    return errors | {"ttft": ttft_error(lone, gpus["prefill"], ISL)}


def summary(run: Run, gpus: dict[str, int]) -> dict[str, Any]:
    """What a run attained and cost, and whether it counts."""
    begin, end = run.requests[0][1], run.requests[-1][1]
    looks = [look for look in run.looks if begin <= look.at_s <= end]
    good = [
        ttft is not None and itl is not None and ttft <= SLA["ttftMs"] and itl <= SLA["itlMs"]
        for _, _, ttft, itl in run.requests
    ]
    errors = engine_error(run, gpus)
    idle = float(np.mean([look.idle for look in looks]))
    held = float(np.mean([look.held_gpus for look in looks]))
    worst = max(abs(error) for error in errors.values())
    return {
        "controller": run.controller,
        "requests": len(run.requests),
        "attained": round(float(np.mean(good)), 4),
        "gpu_hours": round(held * (end - begin) / 3600.0, 3),
        "cpu_idle": round(idle, 3),
        "engine_error": {name: round(error, 3) for name, error in errors.items()},
        "decisions": run.decisions,
        "counts": idle >= LEAST_IDLE and worst <= MOST_ERROR,
    }


def prepared() -> Kube:
    """The demo's cluster with its deployment, an active planner and one replica of each role."""
    kube = bring_up("demo", lambda text: print(text, file=sys.stderr))
    request_deployment(kube)
    request.watch(
        kube, DGDR, NAMESPACE, timeout_s=1500, until=request.in_phase("Deployed"),
        say=lambda text: print(text, file=sys.stderr),
    )  # fmt: skip
    hold(kube, LEAST)
    without_a_past(kube)
    return kube


def without_a_past(kube: Kube) -> None:
    """Replace the planner by one that has seen no earlier load: Prometheus remembers them too."""
    for verb in ("restart", "status"):
        kube.run("rollout", verb, "deployment/prometheus", "--namespace", "monitoring")
    planner = kube.get("slap", DGD, NAMESPACE) or {}
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 45}}
    spec = planner["spec"] | {"sla": SLA, "suspend": False, "behavior": behavior}
    meta = {name: planner["metadata"][name] for name in KEPT}
    manifest = {"apiVersion": planner["apiVersion"], "kind": planner["kind"]}
    kube.run(
        "replace", "--force", "--filename", "-",
        stdin=json.dumps(manifest | {"metadata": meta, "spec": spec}),
    )  # fmt: skip


def main() -> None:
    """Run all controllers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--plot", type=Path)
    told = parser.parse_args()
    kube = prepared()
    gpus = gpus_per_engine(kube, DGD, NAMESPACE)
    runs = [driven(kube, PLANNER)]
    most = Replicas(
        prefill=max(look.ready.prefill for look in runs[0].looks),
        decode=max(look.ready.decode for look in runs[0].looks),
    )
    for replicas in (LEAST, most):
        hold(kube, replicas)
        runs.append(driven(kube, f"static {replicas.prefill}P+{replicas.decode}D"))
    found = [summary(run, gpus) for run in runs]
    print(json.dumps({"bench": "live_planner", "sla": SLA, "runs": found}, indent=1))
    if told.plot:
        told.plot.write_bytes(plot_png(runs, found, SLA))


if __name__ == "__main__":
    main()
