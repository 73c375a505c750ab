"""`make real-engine`: a request with vLLM from apply to a measured deployment, and what must hold.

Everything is real but the GPUs: vLLM on the CPU, keys and values over NIXL, Dynamo's frontend.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from dgdr_api import names
from dgdr_api.graph import Role
from dgdr_perf.engine_profile import EngineProfile
from hack.demo import load as loads
from hack.demo import request
from hack.demo.kube import Kube, condition, wait_for
from hack.demo.platform import ROOT, bring_up, take_down
from hack.demo.stages import Stages
from hack.real_engine.checks import (
    Check,
    LoadSeen,
    Offered,
    at_random,
    capacity_checks,
    latency_checks,
    transfer_checks,
)
from hack.real_engine.deployed import Deployed, Output
from hack.real_engine.exposition import kv_capacity_tokens, total
from hack.real_engine.flags import generated_arguments, refused

FOLDER = ROOT / "hack/real_engine"
NAMESPACE = "dgdr-real"
IMAGE = "dynamo-vllm-cpu"
MODEL = "tiny/llama"
ISL, OSL = 512, 128
ALONE = Offered(concurrency=1, requests=24, osl=OSL)
# Answers so long that prompts leave a core to the tokens, as GPUs of their own do.
SIX = Offered(concurrency=6, requests=18, osl=512)
ASKED_TOKENS = "dynamo_frontend_input_sequence_tokens_sum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One shape of deployment: a request and the file it is in have its name.

    ``prefills`` is None where the worker that decodes computes prompts itself. ``busy`` says, of a
    profile, by which load several requests are decoded at once.
    """

    name: str
    busy: Callable[[EngineProfile], Offered]
    decodes: Role
    prefills: Role | None = None


# One line for each shape that can be asked for.
CASES = (
    Case(
        name="disaggregated",
        busy=lambda _: SIX,
        prefills=Role.PREFILL,
        decodes=Role.DECODE,
    ),
    Case(
        name="aggregated",
        busy=partial(at_random, isl=ISL, osl=OSL, share=0.27, requests=96),
        decodes=Role.WORKER,
    ),
)


def put_model(kube: Kube) -> None:
    """Put the model into a claim, as users have it."""
    kube.apply_file(FOLDER / "model.yaml")
    wait_for(
        "the copy of the model",
        lambda: condition(kube.get("job", "copy-model", NAMESPACE), "Complete"),
        timeout_s=120,
    )


def profile(kube: Kube, case: Case, stages: Stages) -> request.Watched:
    """Apply the request of a case and follow it until it is deployed, and nothing beside it."""
    kube.run("delete", "dgdr,dgd", "--all", "--namespace", NAMESPACE)
    kube.apply_file(FOLDER / f"{case.name}.yaml")
    with stages.stage(f"{case.name}: profiling"):
        seen = request.watch(
            kube, case.name, NAMESPACE, timeout_s=3600, say=stages.say,
            until=request.in_phase("Ready", "Deploying", "Deployed"),
        )  # fmt: skip
    with stages.stage(f"{case.name}: deployment"):
        request.watch(
            kube, case.name, NAMESPACE, timeout_s=900, say=stages.say,
            until=request.in_phase("Deployed"),
        )  # fmt: skip
    return seen


def drive(kube: Kube, deployed: Deployed, busy: Offered, stages: Stages) -> Iterator[LoadSeen]:
    """Send each load and yield what AIPerf saw."""
    for offered in (ALONE, busy):
        load = loads.Load(
            name=f"{deployed.graph}-{'alone' if offered.alone else 'busy'}",
            url=deployed.url, model=MODEL, isl=ISL, **asdict(offered),
        )  # fmt: skip
        with stages.stage(load.name):
            loads.start_load(kube, load, NAMESPACE)
            yield LoadSeen.of(offered, loads.load_result(kube, load, NAMESPACE, timeout_s=900))


def checks_of(
    case: Case, deployed: Deployed, output: Output, seen: list[LoadSeen]
) -> Iterator[Check]:
    """Yield everything that must hold of a case."""
    decode = deployed.page(case.decodes)
    if case.prefills is not None:
        asked = total(deployed.page(Role.FRONTEND), ASKED_TOKENS)
        yield from transfer_checks(
            deployed.tokens(case.prefills), deployed.tokens(case.decodes), asked
        )
    card = deployed.card(case.decodes)
    yield from capacity_checks(output.report["points"], card, kv_capacity_tokens(decode))
    for load in seen:
        yield from latency_checks(output.profile, load, apart=case.prefills is not None)


def run_case(kube: Kube, case: Case, stages: Stages) -> tuple[dict[str, object], list[Check]]:
    """Profile, deploy, load, check; return the figures, and the checks."""
    watched = profile(kube, case, stages)
    deployed = Deployed(kube=kube, graph=names.dgd_name(case.name), namespace=NAMESPACE)
    output = Output.of(kube, case.name, NAMESPACE)
    seen = list(drive(kube, deployed, case.busy(output.profile), stages))
    checks = list(checks_of(case, deployed, output, seen))
    for check in checks:
        stages.say(str(check))
    figures: dict[str, object] = {
        "candidates": watched.candidates,
        "report": output.report,
        "loads": [asdict(load) for load in seen],
        "checks": [{**asdict(check), "holds": check.holds} for check in checks],
    }
    return figures, checks


def run(cluster: str, report: Path) -> None:
    """Run every stage; the cluster stays when something did not hold."""
    stages = Stages()
    with stages.stage("Cluster, images, Prometheus, chart"):
        kube = bring_up(cluster, stages.say, workloads=("profiler", IMAGE))
    with stages.stage("Model"):
        put_model(kube)
    with stages.stage("Flags"):
        arguments = generated_arguments()
        bad = refused(kube, arguments)
        stages.say(f"{len(arguments)} lists of arguments, refused: {json.dumps(bad)}")
    cases = {case.name: run_case(kube, case, stages) for case in CASES}
    figures = {name: figures for name, (figures, _) in cases.items()}
    stages.report(report, flags={"parsed": len(arguments), "refused": bad}, cases=figures)
    failed = [check.what for _, checks in cases.values() for check in checks if not check.holds]
    if bad or failed:
        raise SystemExit(f"did not hold: {', '.join([*bad, *failed])}")
    take_down(cluster)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="hack.real_engine", description=__doc__)
    parser.add_argument("--cluster", default="real-engine")
    parser.add_argument("--report", type=Path, default=ROOT / "dist/real-engine.json")
    arguments = parser.parse_args()
    run(arguments.cluster, arguments.report)


if __name__ == "__main__":
    main()
