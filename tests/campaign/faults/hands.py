"""S and U: what people do to our objects, at rest and in each phase."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from campaign.calls import Call
from campaign.oracle import Allowance, Ending, Violation
from campaign.players.deployments import is_of_deployment
from campaign.points import Expected, Point
from campaign.scenarios import DEPLOY, PHASES, Scenario, ask, reaches
from campaign.world import QUIET_S, World
from dgdr_api.names import Label, profile_data_config_map
from dgdr_kube.errors import Rejected
from dgdr_kube.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    DGD,
    DGDR,
    DGDSA,
    JOB,
    ROLE,
    ROLE_BINDING,
    SERVICE,
    SERVICE_ACCOUNT,
    SLA_PLANNER,
    Kind,
)
from dgdr_kube.ports import Manifest
from support.dgdr_world import NS, dgdr

Act = Callable[[World], Awaitable[None]]

CHILDREN: tuple[tuple[Kind, str], ...] = (
    *((DEPLOYMENT, f"q-dgd-{part}") for part in ("frontend", "prefill", "decode")),
    *((SERVICE, f"q-dgd-{part}") for part in ("frontend", "prefill", "decode")),
    *((DGDSA, f"q-dgd-{part}") for part in ("prefill", "decode")),
    (SERVICE_ACCOUNT, "q-dgd-k8s-service-discovery"),
    (ROLE, "q-dgd-k8s-service-discovery"),
    (ROLE_BINDING, "q-dgd-k8s-service-discovery"),
)
CURVES = profile_data_config_map("uid-dynamographdeploymentrequest-q-1")
EDITS: dict[str, tuple[Kind, Manifest]] = {
    "replicas": (DEPLOYMENT, {"spec": {"replicas": 5}}),
    "image": (
        DEPLOYMENT,
        {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "other:9"}]}}}},
    ),
    "a label": (DEPLOYMENT, {"metadata": {"labels": {"team": "x"}}}),
    "rules": (ROLE, {"rules": []}),
    "ports": (SERVICE, {"spec": {"ports": [{"name": "http", "port": 1}]}}),
}
# What somebody adds beside what is ours is his.
_STAYS = frozenset({"a label", "ports"})
SICK_S = 400.0


async def delete(kind: Kind, name: str, world: World) -> None:
    world.server.drop(kind, NS, name)


async def edit(kind: Kind, name: str, patch: Manifest, world: World) -> None:
    if world.object(kind, name) is not None:
        await world.server.patch(kind, NS, name, patch, "kubectl")


async def never_ready(reason: str, world: World) -> None:
    """Have the decode worker's pods fail for some minutes."""

    def sick(pod: Manifest) -> Manifest | None:
        if not (is_of_deployment(pod) and "decode" in pod["metadata"]["name"]):
            return None
        waiting = {"reason": reason, "message": "it does not start"}
        container = {
            "name": "main",
            "ready": False,
            "restartCount": 3,
            "state": {"waiting": waiting},
        }
        return {"phase": "Running", "containerStatuses": [container]}

    world.deployments.sick = sick
    world.wake()
    await world.sleep(SICK_S)
    world.deployments.sick = lambda pod: None
    world.wake()


def at_rest(scenario: Scenario, calls: Sequence[Call]) -> list[Point]:
    """Return what is done to a deployment at rest: class S."""
    return [*_at_rest(), *_targets()] if scenario == DEPLOY else []


def in_phases(scenario: Scenario, calls: Sequence[Call]) -> list[Point]:
    """Return what is done to a request in each phase: class U."""
    return _in_phases() if scenario == DEPLOY else []


# -- S: at rest


def _at_rest() -> list[Point]:
    found = [
        _then(
            "S", f"{kind.kind} {name} is deleted", partial(delete, kind, name), _remade(kind, name)
        )
        for kind, name in CHILDREN
    ]
    for what, (kind, patch) in EDITS.items():
        name = next(name for k, name in CHILDREN if k == kind and "frontend" not in name)
        act = partial(edit, kind, name, patch)
        allowed = Allowance(end=what not in _STAYS)
        found.append(_then("S", f"{what} of {kind.kind} {name} is edited", act, allowed))
    for reason in ("CrashLoopBackOff", "ImagePullBackOff"):
        act = partial(never_ready, reason)
        found.append(_then("S", f"decode pods are in {reason} for {SICK_S:.0f} s", act))
    births = {("ConfigMap", CURVES): 1}
    act = partial(delete, CONFIG_MAP, CURVES)
    found.append(_then("S", "the curves are deleted", act, Allowance(births=births)))
    return found


def _remade(kind: Kind, name: str) -> Allowance:
    return Allowance(births={(kind.kind, name): 1}, told=frozenset({"Scaled"}))


def _then(
    class_: str,
    what: str,
    act: Act,
    allowed: Allowance | None = None,
    expected: Expected | None = None,
) -> Point:
    """Return a life after which something is done, and which comes to rest again."""

    async def story(world: World) -> None:
        await DEPLOY.story(world)
        await act(world)
        await world.rest()

    return Point(
        class_=class_,
        scenario=DEPLOY,
        what=what,
        story=story,
        allowed=replace(allowed or Allowance(), late_s=2 * QUIET_S),
        expected=expected,
    )


# -- S: what a request aims at


def _targets() -> list[Point]:
    another = Allowance(end=False)
    unlabelled = {"metadata": {"labels": {Label.DGDR_NAME.value: None}}}
    return [
        _then("S", "DGD q-dgd is deleted", partial(delete, DGD, "q-dgd"), another, says_deleted),
        _then(
            "S",
            "SLAPlanner q-dgd is deleted",
            partial(delete, SLA_PLANNER, "q-dgd"),
            another,
            stays(("Deployed",), SLA_PLANNER),
        ),
        _then(
            "S",
            "the request's label of DGD q-dgd is removed",
            partial(edit, DGD, "q-dgd", unlabelled),
            another,
            stays(("Deployed",)),
        ),
        _then(
            "S",
            "the output is deleted after all",
            partial(delete, CONFIG_MAP, "dgdr-output-q"),
            another,
            stays(("Deployed",)),
        ),
        _then(
            "S",
            "what the Job was told is deleted after all",
            partial(delete, CONFIG_MAP, "profile-q"),
            another,
            stays(("Deployed",)),
        ),
        _then(
            "S",
            "the Job is deleted after all",
            partial(delete, JOB, "profile-q"),
            another,
            stays(("Deployed",)),
        ),
    ]


def says_deleted(end: Ending) -> list[Violation]:
    """The request says that its deployment was deleted, and makes none again."""
    wrong = stays(("Failed",))(end)
    if end.kinds("DynamoGraphDeployment"):
        wrong.append(Violation("another end", "a deployment that was deleted was made again"))
    if end.kinds("Pod") and any(map(is_of_deployment, end.kinds("Pod"))):
        wrong.append(Violation("leaked GPUs", "pods of a deployment that was deleted"))
    return wrong


def stays(phases: Sequence[str], without: Kind | None = None) -> Expected:
    """Return what judges that the request is in one of these phases, and a kind is not remade."""

    def expected(end: Ending) -> list[Violation]:
        (request,) = end.kinds("DynamoGraphDeploymentRequest")
        phase = (request.get("status") or {}).get("phase")
        wrong = [] if phase in phases else [Violation("another end", f"phase {phase}")]
        if without is not None and end.kinds(without.kind):
            wrong.append(Violation("another end", f"{without.kind} was made again"))
        return wrong

    return expected


# -- U: in each phase

DEEDS: dict[str, Any] = {
    "junk annotations": {"metadata": {"annotations": {"a.test/b": "c"}}},
    "junk labels": {"metadata": {"labels": {"a": "b"}}},
    "another model": {"spec": {"model": "other/model"}},
    "another image": {"spec": {"image": "registry.test/other:2"}},
}


def _in_phases() -> list[Point]:
    return [
        *(_edited(phase, name, patch) for phase in PHASES for name, patch in DEEDS.items()),
        *(_replaced(phase) for phase in PHASES),
        *(_deleted_twice(phase) for phase in PHASES),
    ]


def _phase_story(phase: str, act: Act) -> Callable[[World], Awaitable[None]]:
    async def story(world: World) -> None:
        await ask(world, autoApply=phase != "Ready")
        await reaches(world, *((phase, "None") if phase == "Pending" else (phase,)))
        await act(world)
        if world.phase() == "Ready":
            await world.server.patch(DGDR, NS, "q", {"spec": {"autoApply": True}}, "kubectl")
        await world.rest()

    return story


def _edited(phase: str, name: str, patch: Manifest) -> Point:
    async def act(world: World) -> None:
        try:
            await world.server.patch(DGDR, NS, "q", patch, "kubectl")
        except Rejected:
            return  # the API server keeps the spec of a run that has begun

    return Point(
        class_="U",
        scenario=DEPLOY,
        what=f"{name} of a request that is {phase}",
        story=_phase_story(phase, act),
        allowed=Allowance(end=False),
        expected=stays(("Deployed",)),
    )


def _replaced(phase: str) -> Point:
    async def act(world: World) -> None:
        world.server.drop(DGDR, NS, "q")
        await world.server.create(dgdr(), "kubectl")
        await reaches(world, "Deployed")

    return Point(
        class_="U",
        scenario=DEPLOY,
        what=f"a request that is {phase} is deleted and created again at once",
        story=_phase_story(phase, act),
        allowed=Allowance(end=False, runs=2, late_s=QUIET_S),
        expected=stays(("Deployed",)),
    )


def _deleted_twice(phase: str) -> Point:
    async def act(world: World) -> None:
        world.server.drop(DGDR, NS, "q")

    return Point(
        class_="U",
        scenario=DEPLOY,
        what=f"a request that is {phase} is deleted",
        story=_phase_story(phase, act),
        allowed=Allowance(end=False),
        expected=nothing_of_the_run,
    )


def nothing_of_the_run(end: Ending) -> list[Violation]:
    """Of a deleted request nothing is left but what it has deployed."""
    return [
        Violation("leaked", f"{name} is left of a deleted request")
        for name in end.objects
        if name.startswith(("Job/", "ConfigMap/ns/profile-", "ConfigMap/ns/dgdr-"))
        or (name.startswith("DynamoGraphDeployment/") and "-tp" in name)
    ]
