"""Every status that we can write, as objects, and what a tool should make of each.

What is expected comes from our own words (phase, state, reasons), not from the conditions that
tools read: the two have to agree.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from dgdr_api.codec_v1beta1 import decode
from dgdr_api.conditions import find
from dgdr_api.models.dgd_v1beta1 import DGDStatus
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec, DGDRStatus, Phase
from dgdr_api.models.dgdsa import DgdsaStatus
from dgdr_api.models.gpu_budget import GPUBudget
from dgdr_api.models.sla_planner_status import SLAPlannerStatus
from dgdr_operator.core import adapter, graph_status, status, steps
from dgdr_operator.core.final_config import Deployment
from dgdr_operator.core.hardware import HardwareFound
from dgdr_operator.core.lacks import Lack, LackReason
from dgdr_operator.core.observation import DgdSeen, Observation, Origin, Request
from dgdr_operator.core.observed_workloads import PodSeen, Trouble, WorkloadSeen
from dgdr_operator.core.steps import Aspect, Step
from dgdr_operator.core.workloads import Problem
from dgdr_planner.decide import decide
from dgdr_planner.observe import observation as planner_seen
from dgdr_planner.observe.budget import Claim, budget_seen
from dgdr_planner.plan import Decision
from dgdr_planner.state import State
from dgdr_planner.tell import budget as budget_status
from dgdr_planner.tell import status as planner_status
from dgdr_planner.tell.conditions import STALLED
from support.dgdr_world import generated_dgd
from support.dgds import decode_worker, graph
from support.planner_status import gpu_budget
from support.planning import EXACTLY, PROFILE, load, policy, seeing

Manifest = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
GENERATION = 3


class Read(StrEnum):
    """kstatus' words."""

    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    CURRENT = "Current"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An object with a status of ours. ``suspended``: it rests because its user says so."""

    name: str
    manifest: Manifest
    expected: Read
    suspended: bool = False


def _object(kind: str, version: str, told: BaseModel | None, **spec: Any) -> Manifest:
    body = {} if told is None else told.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "q", "namespace": "ns", "generation": GENERATION},
        "spec": spec,
        **({"status": body} if body else {}),
    }


# -- requests

_DEPLOYMENT = Deployment(dgd=generated_dgd(), graph=decode(generated_dgd()))
_MAKING = HardwareFound(gpu_sku="h200_sxm", gpus_per_node=8, total_gpus=8)
STEPS: tuple[Step, ...] = (
    steps.RejectSpec("sla.ttft is missing"),
    steps.StartOver("the spec was edited"),
    steps.AwaitReferences("claim weights is not there"),
    steps.AwaitHardware("no GPUs"),
    steps.AwaitPredecessor("an earlier Job is going"),
    steps.StartProfiling(_MAKING),
    steps.AwaitJobPermission("exceeded quota"),
    steps.AwaitJob(),
    steps.Suspend(),
    steps.Resume(),
    *(
        steps.Fail(aspect=aspect, reason="Reason", message="why", event="Event")
        for aspect in (Aspect.PROFILING, Aspect.SPEC_GENERATED, Aspect.DEPLOYMENT_READY)
    ),
    steps.RecordResult(_DEPLOYMENT, deploys=True),
    steps.RecordResult(_DEPLOYMENT, deploys=False),
    steps.Deploy(_DEPLOYMENT),
    steps.AwaitPermission(message="exceeded quota", exists=False),
    steps.AwaitPermission(message="exceeded quota", exists=True),
    steps.AwaitRemoval("qwen-dgd"),
    steps.AwaitDeployment("decode: 0 of 1 pods are ready"),
    steps.AwaitDeployment("decode: 0 of 1 pods are ready", degraded=True),
    steps.ReportDeployed(),
    steps.Settled(),
)
_SEEN = DgdSeen(name="q-dgd", origin=Origin.OURS, state="successful", ready=True)
_PHASES = {
    Phase.READY: Read.CURRENT,
    Phase.DEPLOYED: Read.CURRENT,
    Phase.FAILED: Read.FAILED,
}


def _observation(old: DGDRStatus) -> Observation:
    request = Request(
        name="q",
        namespace="ns",
        uid="u",
        generation=GENERATION,
        spec=DGDRSpec.model_validate({"model": "m"}),
        status=old,
    )
    return Observation(
        request=request, dgd=_SEEN, lacks=(Lack(reason=LackReason.GPUS, message="why"),)
    )


def _request_statuses() -> Iterator[tuple[str, DGDRStatus, Read]]:
    """Yield what each step makes of each status that a request can have, and failed passes."""
    before: dict[str, DGDRStatus] = {"new": DGDRStatus()}
    for step in STEPS:
        made = status.status_after(_observation(DGDRStatus()), step, NOW)
        if made.phase is not None:
            before.setdefault(str(made.phase), made)
    for was, old in before.items():
        for step in STEPS:
            made = status.status_after(_observation(old), step, NOW)
            if made.phase is not None:  # nothing is settled before it has begun
                yield f"{was}, {step}", made, _PHASES.get(made.phase, Read.IN_PROGRESS)
        failed = status.failed_pass_status(old, GENERATION, "pods is forbidden", NOW)
        yield f"{was}, a pass fails", failed, Read.IN_PROGRESS


def requests() -> Iterator[Written]:
    version = "nvidia.com/v1beta1"
    for name, told, expected in _request_statuses():
        manifest = _object("DynamoGraphDeploymentRequest", version, told, model="m")
        yield Written(name=f"request: {name}", manifest=manifest, expected=expected)


# -- deployments

_DONE = WorkloadSeen(
    name="g-decode",
    generation=2,
    observed_generation=2,
    wanted=2,
    replicas=2,
    updated=2,
    ready=2,
    available=2,
)
_HALF = replace(_DONE, ready=1, available=1)


def _pod(**troubles: Any) -> PodSeen:
    return PodSeen(name="p", component="decode", **troubles)


def _graphs() -> Iterator[tuple[str, graph_status.GraphSeen, Read]]:
    def seen(deployment: WorkloadSeen | None, **more: Any) -> graph_status.GraphSeen:
        found = () if deployment is None else (deployment,)
        return graph_status.GraphSeen(
            graph=graph(decode_worker()), generation=GENERATION, workloads=found, **more
        )

    lacks = (Lack(reason=LackReason.CRDS_MISSING, message="why"),)
    yield "ready", seen(_DONE), Read.CURRENT
    yield "ready, something lacks", seen(_DONE, lacks=lacks), Read.CURRENT
    yield "no Deployment yet", seen(None), Read.IN_PROGRESS
    yield "not ready", seen(_HALF), Read.IN_PROGRESS
    yield "rolling", seen(replace(_HALF, updated=1)), Read.IN_PROGRESS
    crashing = _pod(troubles=(Trouble(container="main", reason="CrashLoopBackOff"),))
    yield "crashing", seen(_HALF, pods=(crashing,)), Read.IN_PROGRESS
    homeless = _pod(unschedulable="no GPU")
    yield "no node", seen(_HALF, pods=(homeless,)), Read.IN_PROGRESS
    impossible = Problem(component="decode", message="two nodes")
    yield "impossible", seen(None, problems=(impossible,)), Read.FAILED


def deployments() -> Iterator[Written]:
    told: list[tuple[str, DGDStatus, Read]] = []
    for name, seen, expected in _graphs():
        made = graph_status.status_after(seen, DGDStatus(), NOW)
        told.append((name, made, expected))
        for why, status_of, read in (
            ("then unreadable", graph_status.failed_status, Read.FAILED),
            ("then a pass fails", graph_status.unreconciled_status, Read.IN_PROGRESS),
        ):
            told.append((f"{name}, {why}", status_of("why", GENERATION, made, NOW), read))
        again = graph_status.status_after(seen, told[-1][1], NOW)
        told.append((f"{name}, after a failed pass", again, expected))
    first = graph_status.unreconciled_status("why", GENERATION, DGDStatus(), NOW)
    told.append(("the first pass fails", first, Read.IN_PROGRESS))
    for name, made, expected in told:
        manifest = _object("DynamoGraphDeployment", "nvidia.com/v1beta1", made)
        yield Written(name=f"deployment: {name}", manifest=manifest, expected=expected)


# -- adapters

_ADAPTER_WAITS = {
    adapter.Reason.NO_TARGET,
    adapter.Reason.UPDATE_FAILED,
    adapter.Reason.RECONCILE_FAILED,
}


def adapters() -> Iterator[Written]:
    for before in (None, *adapter.Reason):
        old = DgdsaStatus() if before is None else _adapted(DgdsaStatus(), before)
        for reason in adapter.Reason:
            if reason is adapter.Reason.APPLIED:
                expected = Read.CURRENT
            else:
                expected = Read.IN_PROGRESS if reason in _ADAPTER_WAITS else Read.FAILED
            manifest = _object(
                "DynamoGraphDeploymentScalingAdapter",
                "nvidia.com/v1beta1",
                _adapted(old, reason),
                replicas=1,
            )
            name = f"adapter: {before}, {reason}"
            yield Written(name=name, manifest=manifest, expected=expected)


def _adapted(old: DgdsaStatus, reason: adapter.Reason) -> DgdsaStatus:
    verdict = adapter.Verdict(reason=reason, message="why")
    return adapter.with_verdict(old, verdict, GENERATION, NOW)


# -- planners

PLANNER_TROUBLES = (
    *sorted(STALLED),
    *("TargetNotFound", "TargetDeleted", "PrometheusUnreachable", "NoSeries", "ReplicasUnknown"),
    *("Stopped", "TimeUnknown", "ClassicImpossible", "Suspended"),
)


def _decisions() -> Iterator[tuple[str, planner_seen.Observation, Decision, Read]]:
    for rate in (0.5, 300.0):
        seen = seeing(load(rate))
        decision = decide(seen, PROFILE, policy(), State(), NOW, forecaster=EXACTLY)
        yield f"plans for {rate:g}/s", seen, decision, Read.CURRENT
    for reason in PLANNER_TROUBLES:
        outcome = planner_seen.Trouble(reason, "why")
        expected = Read.FAILED if reason in STALLED else Read.IN_PROGRESS
        yield reason, seeing(load(1)), Decision(outcome=outcome, state=State()), expected


def planners() -> Iterator[Written]:
    for was, first, before, _ in (None, None, None, None), *_decisions():
        old = SLAPlannerStatus() if first is None else _planned(SLAPlannerStatus(), first, before)
        for name, seen, decision, expected in _decisions():
            manifest = _object("SLAPlanner", "dgdr.dev/v1alpha1", _planned(old, seen, decision))
            yield Written(
                name=f"planner: {was}, {name}",
                manifest=manifest,
                expected=expected,
                suspended=name == "Suspended",
            )


def _planned(
    old: SLAPlannerStatus, seen: planner_seen.Observation, decision: Decision | None
) -> SLAPlannerStatus:
    assert decision is not None
    return planner_status.status_after(
        old, seen, decision, policy(), planner_status.Done(), GENERATION, NOW
    )


# -- budgets


def budgets() -> Iterator[Written]:
    """Yield budgets that are unused, that suffice, that are overdrawn, that never can suffice."""
    version = "dgdr.dev/v1alpha1"
    yield Written(
        name="budget: unused",
        manifest=_object("GPUBudget", version, None, gpus=8),
        expected=Read.CURRENT,
    )
    for gpus, held, expected in (
        (20, 4, Read.CURRENT),
        (20, 30, Read.IN_PROGRESS),
        (1, 1, Read.FAILED),
    ):
        manifest = gpu_budget(gpus) | {"status": {}}
        manifest["metadata"]["generation"] = GENERATION
        budget = GPUBudget.parse(manifest)
        me = budget.spec.members[0].planner
        seen = budget_seen(budget, me, frozenset(), {})
        assert not isinstance(seen, planner_seen.Trouble)
        claim = Claim(reserved_gpus=held)
        told = budget_status.status_with(budget, seen, claim, "q-dgd", NOW)
        feasible = find(told.conditions, budget_status.FEASIBLE)
        assert feasible is not None
        yield Written(
            name=f"budget: {feasible.reason}",
            manifest=_object("GPUBudget", version, told, gpus=gpus),
            expected=expected,
        )


def all_written() -> Sequence[Written]:
    return (*requests(), *deployments(), *adapters(), *planners(), *budgets())
