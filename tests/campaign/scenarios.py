"""What users do, from the beginning to the end that is compared."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dgdr_api.names import Annotation, Label
from dgdr_kube.kinds import DEPLOYMENT, DGD, DGDR, DGDSA, SLA_PLANNER
from dgdr_kube.ports import Manifest
from support.dgdr_world import NS, dgdr, generated_dgd, sla_planner
from support.planning import worker

from .players.jobs import HOPELESS_EXIT_CODE, ended_status
from .players.profiler import CURVES, Ended
from .world import Config, Stuck, World

Story = Callable[[World], Awaitable[None]]
BUDGET_GPUS = 14


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story, and the world that it takes place in."""

    name: str
    story: Story
    config: Config = field(default_factory=Config)


async def ask(world: World, **spec: Any) -> None:
    await world.server.create(dgdr(**spec), "kubectl")


async def reaches(world: World, *phases: str) -> None:
    await world.until(f"q is {' or '.join(phases)}", lambda: world.phase() in phases)


async def profiles(world: World) -> None:
    await reaches(world, "Profiling")
    await world.until(
        "a candidate serves", lambda: world.object(DEPLOYMENT, "q-tp1-decode") is not None
    )


async def annotate(world: World, name: Annotation, value: str | None) -> None:
    patch = {"metadata": {"annotations": {name.value: value}}}
    await world.server.patch(DGDR, NS, "q", patch, "kubectl")


# -- a request


async def deploy(world: World) -> None:
    """Create a request, and wait until what it asked for is deployed."""
    await ask(world)
    await world.until("its progress is told", lambda: "candidate tp1" in world.message("Profiling"))
    await reaches(world, "Deployed")
    await world.rest()


async def settle(world: World) -> None:
    """Create a request, and wait until it is deployed or has failed."""
    await ask(world)
    await reaches(world, "Deployed", "Failed")
    await world.rest()


async def review(world: World) -> None:
    """Look at the result first, then have it deployed."""
    await ask(world, autoApply=False)
    await reaches(world, "Ready")
    await world.server.patch(DGDR, NS, "q", {"spec": {"autoApply": True}}, "kubectl")
    await reaches(world, "Deployed")
    await world.rest()


async def rerun(world: World) -> None:
    """Have a run fail, and ask for another."""

    def fail(step: str, pod: Manifest) -> None:
        if step == "measured tp1" and not world.phase().startswith("Failed"):
            raise Ended(ended_status(HOPELESS_EXIT_CODE, "Error", "no such model"))

    world.profiler.at = fail
    await ask(world)
    await reaches(world, "Failed")
    world.profiler.at = lambda step, pod: None
    await annotate(world, Annotation.RERUN_REQUESTED_AT, "monday")
    await reaches(world, "Deployed")
    await world.rest()


async def suspend(world: World) -> None:
    """Stop a run, and let it go on."""
    await ask(world)
    await profiles(world)
    await annotate(world, Annotation.SUSPEND, "true")
    await world.until("it is suspended", lambda: world.reason("Profiling") == "Suspended")
    await annotate(world, Annotation.SUSPEND, None)
    await reaches(world, "Deployed")
    await world.rest()


async def recreate(world: World) -> None:
    """Delete a request while it is profiled, and create one of the same name at once."""
    await ask(world)
    await profiles(world)
    world.server.drop(DGDR, NS, "q")
    await ask(world)
    await reaches(world, "Deployed")
    await world.rest()


async def gone(phase: str, world: World) -> None:
    """Delete a request in a phase."""
    if phase == "Pending":
        await ask(world, modelCache={"pvcName": "weights"})
    else:
        await ask(world, autoApply=phase != "Ready")
    await reaches(world, phase)
    if phase == "Profiling":
        await profiles(world)
    if phase == "Deploying":
        await world.until("all is made", lambda: world.object(SLA_PLANNER, "q-dgd") is not None)
    world.server.drop(DGDR, NS, "q")
    await world.rest()


async def wait_for_claim(world: World) -> None:
    """Name a claim that is made only later."""
    await ask(world, modelCache={"pvcName": "weights"})
    await reaches(world, "Pending")
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    await world.server.create(
        {**claim, "metadata": {"name": "weights", "namespace": NS}}, "kubectl"
    )
    await reaches(world, "Deployed")
    await world.rest()


async def foreign(world: World) -> None:
    """Have a deployment of one's own where a request's would come; then make room."""
    await world.server.create(in_namespace(generated_dgd(name="q-dgd", replicas=2)), "kubectl")
    await serves(world, "q-dgd")
    before = (world.object(DGD, "q-dgd") or {})["spec"]
    await ask(world)
    await reaches(world, "Pending")
    await world.sleep(60)
    if (world.object(DGD, "q-dgd") or {}).get("spec") != before:
        raise Stuck("a user's own deployment is left alone")
    world.server.drop(DGD, NS, "q-dgd")
    await reaches(world, "Deployed")
    await world.rest()


async def copied(world: World) -> None:
    """Copy the labels of a candidate onto a deployment of one's own."""
    await ask(world)
    await profiles(world)
    mine = in_namespace(generated_dgd(name="mine"))
    uid = (world.object(DGDR, "q") or {})["metadata"]["uid"]
    mine["metadata"]["labels"] = {Label.RUN.value: uid}
    await world.server.create(mine, "kubectl")
    await reaches(world, "Deployed")
    await world.rest()


# -- a deployment


async def graph(world: World) -> None:
    """Create a deployment by hand, scale it, give it another image, take a component out."""
    await world.server.create(in_namespace(generated_dgd(name="g")), "kubectl")
    await serves(world, "g")
    for replicas in (3, 2):
        await world.server.scale(DGDSA, NS, "g-decode", replicas, "kubectl")
        await world.until(f"{replicas} replicas", partial(_has, world, "g-decode", replicas))
    await edit_components(world, _with_image)
    await world.until("its pods are replaced", lambda: _image(world, "g-decode") == "worker:2")
    await serves(world, "g")
    await edit_components(world, lambda found: [c for c in found if c["name"] != "prefill"])
    await world.until("prefill is gone", lambda: world.object(DEPLOYMENT, "g-prefill") is None)
    await world.rest()


async def edit_components(world: World, change: Callable[[list[Manifest]], list[Manifest]]) -> None:
    found = (world.object(DGD, "g") or {})["spec"]["components"]
    patch = {"spec": {"components": change(found)}}
    await world.server.patch(DGD, NS, "g", patch, "kubectl")


def _with_image(components: list[Manifest]) -> list[Manifest]:
    for component in components:
        for container in component["podTemplate"]["spec"]["containers"]:
            container["image"] = container["image"].replace(":1", ":2")
    return components


def _image(world: World, deployment: str) -> str:
    found = world.object(DEPLOYMENT, deployment) or {}
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]) if found else ""


def _has(world: World, deployment: str, replicas: int) -> bool:
    status = (world.object(DEPLOYMENT, deployment) or {}).get("status") or {}
    return bool(status.get("readyReplicas") == status.get("replicas") == replicas)


async def serves(world: World, name: str) -> None:
    def is_up() -> bool:
        found = world.object(DGD, name) or {}
        status = found.get("status") or {}
        return (
            status.get("state") == "successful"
            and status.get("observedGeneration") == found["metadata"]["generation"]
        )

    await world.until(f"{name} serves", is_up)


def in_namespace(manifest: Manifest) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": NS}}


async def going(world: World) -> None:
    """Delete a deployment that a finalizer holds, its workloads first, as a foreground deletion."""
    await world.server.create(in_namespace(generated_dgd(name="g")), "kubectl")
    await serves(world, "g")
    held = {"metadata": {"finalizers": ["a.test/hold"]}}
    await world.server.patch(DGD, NS, "g", held, "kubectl")
    world.server.drop(DGD, NS, "g")
    for found in [*world.server.of(DEPLOYMENT)]:
        world.server.drop(DEPLOYMENT, NS, found["metadata"]["name"])
    await world.sleep(120)
    if world.server.of(DEPLOYMENT):
        raise Stuck("nothing is made for a deployment that is being deleted")
    await world.server.patch(DGD, NS, "g", {"metadata": {"finalizers": None}}, "kubectl")
    await world.rest()


# -- planners


async def budget(world: World) -> None:
    """Two planners share GPUs; the load wanders from one deployment to the other."""
    world.server.seed(curves(), shared(BUDGET_GPUS, "a", "b"))
    for name in ("a", "b"):
        await world.server.create(planned(name), "kubectl")
        await serves(world, name)
        await world.server.create(planner_of(name), "kubectl")
    await at_rates(world, a=14.0, b=0.0)
    await world.until("a has grown", lambda: replicas_of(world, "a") > 2)
    await at_rates(world, a=14.0, b=14.0)
    await at_rates(world, a=0.0, b=14.0)
    await world.until("b has grown", lambda: replicas_of(world, "b") > 2)
    await at_rates(world, a=0.0, b=0.0)
    await world.until("both are small", lambda: replicas_of(world, "a", "b") == 4)
    await world.sleep(60)


async def at_rates(world: World, **rates: float) -> None:
    """Have the load be so for two minutes."""
    world.prometheus.rates = rates
    await world.sleep(120)


def replicas_of(world: World, *graphs: str) -> int:
    """Workers that deployments ask for."""
    names = [f"{graph}-{role}" for graph in graphs for role in ("prefill", "decode")]
    found = (world.object(DEPLOYMENT, name) or {"spec": {"replicas": 0}} for name in names)
    return sum(int(one["spec"]["replicas"]) for one in found)


def curves() -> Manifest:
    meta = {"name": "curves", "namespace": NS}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": CURVES}


def shared(gpus: int, *planners: str) -> Manifest:
    return {
        "apiVersion": "dgdr.dev/v1alpha1",
        "kind": "GPUBudget",
        "metadata": {"name": "team", "namespace": NS},
        "spec": {"gpus": gpus, "members": [{"planner": name} for name in planners]},
    }


def planned(name: str) -> Manifest:
    main = {"name": "main", "image": "frontend:1"}
    front = {
        "name": "frontend",
        "type": "frontend",
        "replicas": 1,
        "podTemplate": {"spec": {"containers": [main]}},
    }
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": name, "namespace": NS},
        "spec": {"components": [front, worker("prefill", 1), worker("decode", 1)]},
    }


def planner_of(name: str) -> Manifest:
    planner = sla_planner()
    planner["metadata"] = {"name": name, "namespace": NS}
    planner["spec"] |= {
        "targetRef": {"kind": "DynamoGraphDeployment", "name": name},
        "sla": {"ttftMs": 300, "itlMs": 25},
        "profile": {"configMapRef": {"name": "curves"}},
        "budget": {"ref": "team"},
        "interval": "15s",
        "forecast": {"model": "LastValue", "quantile": 0.5},
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "maxStep": 8}},
    }
    return planner


PHASES = ("Pending", "Profiling", "Ready", "Deploying", "Deployed")
DEPLOY = Scenario("deploy", deploy)
SETTLE = Scenario("settle", settle, Config(candidates=2))
REVIEW = Scenario("review", review)
RERUN = Scenario("rerun", rerun)
SUSPEND = Scenario("suspend", suspend)
RECREATE = Scenario("recreate", recreate)
CLAIM = Scenario("claim", wait_for_claim)
FOREIGN = Scenario("foreign", foreign)
COPIED = Scenario("copied", copied)
GRAPH = Scenario("graph", graph)
GOING = Scenario("going", going)
BUDGET = Scenario("budget", budget, Config(plans=True, budget_gpus=BUDGET_GPUS))
GONE = tuple(Scenario(f"gone-{phase.lower()}", partial(gone, phase)) for phase in PHASES)
PAIR = Scenario("pair", deploy, Config(operators=2, elects=True))
ALL = (
    *(DEPLOY, SETTLE, REVIEW, RERUN, SUSPEND, RECREATE, CLAIM, FOREIGN, COPIED, *GONE),
    *(GRAPH, GOING, BUDGET, PAIR),
)
