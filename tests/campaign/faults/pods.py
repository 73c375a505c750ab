"""J: what befalls the profiling Job and its pod, at each of its program's steps."""

from collections.abc import Callable, Sequence
from functools import partial

from campaign.calls import Call
from campaign.oracle import Allowance, Ending, Violation
from campaign.players.jobs import HOPELESS_EXIT_CODE, ended_status
from campaign.players.profiler import Ended
from campaign.points import Expected, Point
from campaign.scenarios import SETTLE, Scenario
from campaign.world import World
from dgdr_kube.kinds import JOB, POD
from dgdr_kube.ports import Manifest
from support.dgdr_world import NS

from .clocks import again

STEPS = (
    "began",
    *(
        f"{step} {candidate}"
        for candidate in ("tp1", "tp2")
        for step in ("deploying", "deployed", "measuring", "measured", "stored", "deleted")
    ),
    "writing",
    "written",
)
LOST_NODE_S = 300.0
Blow = Callable[[World, Manifest], None]
EVICTED = {
    "conditions": [
        {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    ]
}


def ends(code: int, reason: str, **more: object) -> Blow:
    """Return what ends the pod's container so."""

    def blow(world: World, pod: Manifest) -> None:
        raise Ended(ended_status(code, reason, f"ended by {reason}", **more))

    return blow


def deleted(world: World, pod: Manifest) -> None:
    """Delete the pod by hand."""
    world.server.drop(POD, NS, pod["metadata"]["name"])
    raise Ended(None)


def node_lost(world: World, pod: Manifest) -> None:
    """Lose the pod's node: it is told to go and does not, until its object is removed by force."""
    name = pod["metadata"]["name"]
    world.deployments.lost.add(name)
    world.server.drop(POD, NS, name)

    def forced() -> None:
        world.deployments.lost.discard(name)
        world.server.vanish(POD, NS, name)

    world.later(LOST_NODE_S, forced)
    raise Ended(None)


def job_deleted(world: World, pod: Manifest) -> None:
    """Delete the Job by hand."""
    world.server.drop(JOB, NS, "profile-q")


def job_expired(world: World, pod: Manifest) -> None:
    """Fail as often as the Job allows, and be gone before anybody looked."""
    world.jobs.fail_for_good("profile-q")
    raise Ended(ended_status(1, "Error", "no more"))


def past_deadline(world: World, pod: Manifest) -> None:
    """Run longer than the Job may."""
    world.jobs.end("profile-q", "Failed", "Job was active longer than specified deadline")
    raise Ended(None)


RECOVERS: dict[str, Blow] = {
    "out of memory": ends(137, "OOMKilled"),
    "crashed": ends(1, "Error"),
    "evicted": ends(143, "Error", **EVICTED),
    "deleted by hand": deleted,
    "on a node that is lost": node_lost,
    "without its Job, deleted by hand": job_deleted,
}
FAILS: dict[str, Blow] = {
    "ended with exit code 2": ends(HOPELESS_EXIT_CODE, "Error"),
    "past the Job's deadline": past_deadline,
    "failed as often as it may": job_expired,
}
STUCK = {
    "without its image": {"reason": "ImagePullBackOff", "message": "registry.test is not there"},
    "without a node": None,
}


def points(scenario: Scenario, calls: Sequence[Call]) -> list[Point]:
    """Return each blow at each step of the program, once."""
    if scenario != SETTLE:
        return []
    return [
        *(_point(step, name, blow) for step in STEPS for name, blow in RECOVERS.items()),
        *(_point(step, name, blow, failed) for step in STEPS[:-1] for name, blow in FAILS.items()),
        *(_late_pod(name) for name in STUCK),
    ]


def _point(step: str, name: str, blow: Blow, expected: Expected | None = None) -> Point:
    return Point(
        class_="J",
        scenario=SETTLE,
        what=f"the profiling pod is {name} when it has {step}",
        deed=partial(_strike, step, blow),
        allowed=Allowance(
            births={**again(SETTLE), ("Job", "profile-q"): int(blow is job_deleted)},
            # With its result there it is not made again.
            missing=frozenset({"Job/ns/profile-q"} if blow is job_deleted else ()),
            late_s=LOST_NODE_S,
            told=frozenset({"ProfilingJobCreated"} if blow is job_deleted else ()),
            measured=1,
            end=expected is None,
        ),
        expected=expected,
    )


async def _strike(step: str, blow: Blow, world: World) -> None:
    struck = False

    def at(now: str, pod: Manifest) -> None:
        nonlocal struck
        if now == step and not struck:
            struck = True
            blow(world, pod)

    world.profiler.at = at


def failed(end: Ending) -> list[Violation]:
    """The request is Failed, says why, and holds nothing."""
    (request,) = end.kinds("DynamoGraphDeploymentRequest")
    status = request["status"]
    wrong = []
    if status.get("phase") != "Failed":
        wrong.append(Violation("another end", f"phase {status.get('phase')}, not Failed"))
    said = " ".join(c["message"] for c in status["conditions"] if c["type"] == "Profiling")
    if "profiling job failed" not in said.lower():
        wrong.append(Violation("silent", f"Profiling says {said!r}"))
    if end.kinds("DynamoGraphDeployment") or end.kinds("Deployment"):
        wrong.append(Violation("leaked GPUs", "candidates stand after the run has failed"))
    return wrong


def _late_pod(name: str) -> Point:
    return Point(
        class_="J",
        scenario=SETTLE,
        what=f"the profiling pod is {name} for ten minutes",
        deed=partial(_hold, STUCK[name]),
        allowed=Allowance(late_s=600),
    )


async def _hold(waiting: Manifest | None, world: World) -> None:
    if waiting is None:
        status: Manifest = {
            "phase": "Pending",
            "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                 "message": "0/1 nodes are available"}
            ],
        }  # fmt: skip
    else:
        status = {
            "phase": "Pending",
            "containerStatuses": [
                {"name": "profiler", "ready": False, "state": {"waiting": waiting}}
            ],
        }
    world.jobs.held = status
    await world.sleep(600)
    world.jobs.held = None
    world.wake()
