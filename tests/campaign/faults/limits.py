"""D: limits of the API server, and results that cannot be used."""

from collections.abc import Callable, Sequence
from functools import partial

import yaml

from campaign.calls import Call
from campaign.oracle import Allowance, Ending, Violation
from campaign.players.profiler import result
from campaign.points import Point
from campaign.scenarios import SETTLE, Scenario, ask
from campaign.world import World
from dgdr_kube.kinds import DGD
from support.dgdr_world import NS, dgdr, generated_dgd, sla_planner

BIG = "x" * 400_000
Results = dict[str, str]


def _documents(*documents: object) -> Results:
    return {**result(), "final_config.yaml": yaml.safe_dump_all(documents)}


def _nan() -> Results:
    return {**result(), "final_config.yaml": "kind: DynamoGraphDeployment\nspec: {x: .nan}\n"}


UNUSABLE: dict[str, Callable[[], Results]] = {
    "without final_config.yaml": lambda: {},
    "final_config.yaml is no YAML": lambda: {**result(), "final_config.yaml": "{: ["},
    "final_config.yaml is cut off": lambda: {
        **result(),
        "final_config.yaml": result()["final_config.yaml"][:200],
    },
    "final_config.yaml holds a text": lambda: {**result(), "final_config.yaml": "done"},
    "final_config.yaml holds NaN": _nan,
    "no deployment": lambda: _documents(sla_planner()),
    "two deployments": lambda: _documents(generated_dgd(), generated_dgd()),
    "a deployment without components": lambda: _documents(
        {**generated_dgd(), "spec": {"components": []}}
    ),
    "a component of an unknown type": lambda: _documents(_with_type("wheel")),
    "a planner without targets": lambda: _documents(
        {**sla_planner(), "spec": {"sla": {"ttftMs": -1}}}, generated_dgd()
    ),
    "names of 70 characters": lambda: _documents(generated_dgd(name="d" * 70)),
    "more GPUs than there are": lambda: result(gpus=400),
}
BEARABLE: dict[str, Callable[[], Results]] = {
    "a result of 400 KB": lambda: {**result(), "plots.html": BIG},
    "curves that are no JSON": lambda: {**result(), "prefill_raw_data.json": "{"},
    "a report that is no JSON": lambda: {**result(), "report.json": "nonsense"},
}


def _with_type(type_: str) -> dict[str, object]:
    made = generated_dgd()
    made["spec"]["components"][1]["type"] = type_
    return made


def points(scenario: Scenario, calls: Sequence[Call]) -> list[Point]:
    """Return each result that a run may write, and names at their limits."""
    if scenario != SETTLE:
        return []
    return [
        *(_result(what, make, usable=False) for what, make in UNUSABLE.items()),
        *(_result(what, make, usable=True) for what, make in BEARABLE.items()),
        *(_named(length) for length in (20, 45, 60)),
    ]


def _result(what: str, make: Callable[[], Results], *, usable: bool) -> Point:
    async def deed(world: World) -> None:
        world.profiler.results = make()

    async def story(world: World) -> None:
        await ask(world)
        await world.until("it is decided", lambda: _is_decided(world))
        await world.rest()

    return Point(
        class_="D",
        scenario=SETTLE,
        what=f"the run writes {what}",
        deed=deed,
        story=story,
        # What is refused for good is tried again, ever more rarely.
        allowed=Allowance(end=False, runs=5 if "70 characters" in what else 1),
        expected=partial(_ends, ("Deployed",) if usable else ("Failed", "Deploying")),
    )


def _is_decided(world: World) -> bool:
    dgds = world.server.of(DGD)
    refused = any((dgd.get("status") or {}).get("state") == "failed" for dgd in dgds)
    return refused or world.phase() in ("Deployed", "Failed")


def _named(length: int) -> Point:
    name = "q" * length

    async def story(world: World) -> None:
        wanted = dgdr()
        wanted["metadata"] = {"name": name, "namespace": NS}
        await world.server.create(wanted, "kubectl")
        await world.until("it is decided", lambda: world.phase(name) in ("Deployed", "Failed"))
        await world.rest()

    return Point(
        class_="D",
        scenario=SETTLE,
        what=f"the request's name has {length} characters",
        story=story,
        allowed=Allowance(end=False),
        expected=partial(_ends, ("Deployed", "Failed")),
    )


def _ends(phases: Sequence[str], end: Ending) -> list[Violation]:
    """The request is in one of these phases; one that has failed holds nothing, and says why."""
    (request,) = end.kinds("DynamoGraphDeploymentRequest")
    phase = request["status"].get("phase")
    if phase not in phases:
        return [Violation("another end", f"phase {phase}, not {' or '.join(phases)}")]
    held = [m["metadata"]["name"] for m in end.kinds("DynamoGraphDeployment")]
    if phase == "Failed" and held:
        return [Violation("leaked GPUs", f"the request has failed, and {held} stand")]
    return []
