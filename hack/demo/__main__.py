"""`make demo`: from nothing to a deployment that the planner scales, in one command."""

import argparse
from pathlib import Path

from hack.demo import load as loads
from hack.demo import request, scaling
from hack.demo.kube import Kube, wait_for
from hack.demo.platform import ROOT, bring_up, run_module
from hack.demo.stages import Stages

NAMESPACE = "dgdr-demo"
DGDR = "qwen"
DGD = f"{DGDR}-dgd"
URL = f"http://{DGD}-frontend.{NAMESPACE}.svc.cluster.local:8000"
HIGH = loads.Load(name="load-high", url=URL, rate_per_s=6, requests=480, isl=2048, osl=64)
LOW = loads.Load(name="load-low", url=URL, rate_per_s=0.25, requests=30, isl=2048, osl=64)


def request_deployment(kube: Kube) -> None:
    """Apply the example as a user would, and the data that the mocker engines replay."""
    kube.apply_file(ROOT / "examples/demo/namespace.yaml")
    kube.run(
        "apply", "--server-side", "--filename", "-",
        stdin=run_module("hack.mocker_profiles", "--configmap", "mocker-profiles",
                         "--namespace", NAMESPACE),
    )  # fmt: skip
    for name in ("policy", "dgdr"):
        kube.apply_file(ROOT / f"examples/demo/{name}.yaml")


def show_decisions(kube: Kube, stages: Stages, said: set[str]) -> None:
    """Say each decision of the planner once."""
    for decision in scaling.decisions(kube, DGD, NAMESPACE):
        if decision["time"] not in said:
            said.add(decision["time"])
            stages.say(f"planner: {decision.get('reason')}: {decision.get('message')}")


def follow_load(kube: Kube, stages: Stages, load: loads.Load, said: set[str]) -> dict[str, object]:
    """Drive one load to its end, saying what the planner does meanwhile."""
    loads.start_load(kube, load, NAMESPACE)
    seen = ""

    def ended() -> bool:
        nonlocal seen
        show_decisions(kube, stages, said)
        now = str(scaling.ready(kube, DGD, NAMESPACE))
        if now != seen:
            stages.say(f"ready: {now}")
            seen = now
        return not loads.load_running(kube, load, NAMESPACE)

    wait_for(f"end of {load.name}", ended, timeout_s=420, every_s=2)
    result = loads.load_result(kube, load, NAMESPACE)
    stages.say(f"{load.name}: {result['completed']} of {result['sent']} requests completed")
    if result["completed"] != result["sent"]:
        raise SystemExit(f"{load.name}: requests were lost: {result}")
    return result


def run(cluster: str, report: Path) -> None:
    """Run every stage; leave the cluster running for a look around."""
    stages = Stages()
    with stages.stage("Cluster, images, Prometheus, chart"):
        kube = bring_up(cluster, stages.say)
    with stages.stage("Profiling: deploy each candidate, measure it with AIPerf, choose"):
        request_deployment(kube)
        seen = request.watch(
            kube, DGDR, NAMESPACE, timeout_s=1200, say=stages.say,
            until=request.in_phase("Ready", "Deploying", "Deployed"),
        )  # fmt: skip
    with stages.stage("Deployment of the choice"):
        request.watch(
            kube, DGDR, NAMESPACE, timeout_s=300, say=stages.say, until=request.in_phase("Deployed")
        )
    scaling.shrink_soon(kube, DGD, NAMESPACE)
    said: set[str] = set()
    with stages.stage(f"Load of {HIGH.rate_per_s:g} requests/s: the planner scales up"):
        high = follow_load(kube, stages, HIGH, said)
    with stages.stage(f"Load of {LOW.rate_per_s:g} requests/s: the planner scales down"):
        low = follow_load(kube, stages, LOW, said)
        wait_for(
            "the minimum",
            scaling.scaled(kube, DGD, NAMESPACE, lambda replicas: replicas.total == 2),
            timeout_s=240,
        )
        show_decisions(kube, stages, said)
    stages.report(
        report, candidates=seen.candidates, high_load=high, low_load=low,
        decisions=scaling.decisions(kube, DGD, NAMESPACE),
    )  # fmt: skip
    look_around(kube)


def look_around(kube: Kube) -> None:
    """Say where to look now."""
    kubectl = f"{kube.bin_dir}/kubectl --kubeconfig {kube.kubeconfig} --namespace {NAMESPACE}"
    print(f"""
The cluster keeps running. Look around:
  alias k='{kubectl}'
  k get dgdr,dgd,dgdsa,slap
  k describe slap {DGD}
  k get configmap dgdr-output-{DGDR} -o jsonpath='{{.data.final_config\\.yaml}}'
Remove it without a trace: make cluster-down""")


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="hack.demo", description=__doc__)
    parser.add_argument("--cluster", default="demo")
    parser.add_argument("--report", type=Path, default=ROOT / "dist/demo.json")
    arguments = parser.parse_args()
    run(arguments.cluster, arguments.report)


if __name__ == "__main__":
    main()
