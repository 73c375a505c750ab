"""Bugs put in on purpose: the campaign has to find each, or what it does not find proves nothing.

Each replaces a function of ours by one with a mistake: of upstream's, whose number it names, or of
a kind that operators are known for. A *hunt* is where it is looked for: a class and scenarios.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from dgdr_kube import event_writer, following, kopf_feed, remembering, store, workqueue
from dgdr_kube.errors import ClusterError, Expired
from dgdr_operator.core import (
    draft,
    final_config,
    lifecycle,
    observed_run,
    profiling_status,
    status,
)
from dgdr_operator.core.observation import JobSeen, Origin
from dgdr_operator.core.refusals import Step
from dgdr_operator.core.steps import Aspect, AwaitDeployment, Deploy, Fail, RecordResult, Resume
from dgdr_operator.passes import (
    candidate_queue,
    dgdr_actor,
    dgdr_pass,
    graph_children,
    graph_pass,
    graph_patience,
    profiling_start,
)
from dgdr_planner import observer
from dgdr_planner.adapters import budgets

Replaced = tuple[object, str, Any]
"""A module or a class, a name in it, and what stands there instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A bug: whose, what it does, where it is hunted, and what it replaces.

    ``near`` is a word of the points at which a short hunt looks for it.
    """

    name: str
    of: str
    says: str
    class_: str
    scenarios: tuple[str, ...]
    near: str = ""
    replaced: Callable[[], tuple[Replaced, ...]]


@contextmanager
def planted(plant: Plant) -> Iterator[None]:
    """Have the bug, for as long as the context lasts."""
    with ExitStack() as stack:
        for where, name, other in plant.replaced():
            stack.enter_context(patch.object(where, name, other))
        yield


# -- upstream's


def _deploys_once() -> tuple[Replaced, ...]:
    act = dgdr_actor.DgdrActor.act

    async def act_on_memory(self: Any, seen: Any, step: Any) -> Any:
        due: set[str] = self.__dict__.setdefault("due", set())
        if isinstance(step, RecordResult):
            due.add(seen.request.uid)
        if isinstance(step, Deploy) and seen.request.uid not in due:
            return AwaitDeployment("it was deployed when profiling ended")
        return await act(self, seen, step)

    return ((dgdr_actor.DgdrActor, "act", act_on_memory),)


def _one_event() -> tuple[Replaced, ...]:
    from dgdr_operator import handlers

    def only_outputs(queues: Any, heard: Any) -> None:
        if heard.kind.plural == "configmaps":
            heard.mark(queues.requests, handlers.routing.owning_request(heard.body))

    return (
        (handlers, "_of_request", only_outputs),
        (dgdr_pass, "look_again_s", lambda *_: None),
    )


def _own_word_for_ready() -> tuple[Replaced, ...]:
    def ready(seen: Any) -> bool:
        return str(seen.state) == "ready"

    return ((observed_run, "_is_ready", ready),)


def _adopts() -> tuple[Replaced, ...]:
    def ours(generated: Any, request: Any) -> Origin:
        return Origin.NOBODY if generated is None else Origin.OURS

    return ((observed_run, "origin_of", ours),)


def _makes_again() -> tuple[Replaced, ...]:
    async def no(self: Any, dgd: Any) -> bool:
        return False

    return ((graph_pass, "is_going", lambda dgd: False), (graph_pass.GraphPass, "_is_leaving", no))


def _prunes_nothing() -> tuple[Replaced, ...]:
    async def keep(self: Any, wanted: Any, children: Any) -> None:
        return None

    return ((graph_children.ChildWriter, "_prune", keep),)


def _tells_no_progress() -> tuple[Replaced, ...]:
    return ((profiling_status, "_how_far", lambda seen, draft: "Profiling is in progress"),)


def _no_name_in_status() -> tuple[Replaced, ...]:
    result = status._result

    def nameless(*args: Any) -> Any:
        return result(*args).with_(dgd_name=None)

    return ((status, "_result", nameless),)


def _leaves_candidates() -> tuple[Replaced, ...]:
    return (
        (dgdr_actor, "leftovers", lambda seen, now: ()),
        (dgdr_pass, "leftovers", lambda seen, now: ()),
    )


def _keeps_jobs() -> tuple[Replaced, ...]:
    async def keep(self: Any, seen: Any, recorded: Any) -> None:
        return None

    return ((dgdr_actor.DgdrActor, "let_expire", keep),)


def _data_of_request() -> tuple[Replaced, ...]:
    render = final_config.data_manifest

    def of_request(deployment: Any, owner: Any) -> Any:
        made = render(deployment, owner)
        labels = made["metadata"]["labels"]
        mine = {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeploymentRequest",
            "name": labels["dgdr.nvidia.com/name"],
            "uid": labels["dgdr.dev/request-uid"],
        }
        return {**made, "metadata": {**made["metadata"], "ownerReferences": [mine]}}

    return ((final_config, "data_manifest", of_request),)


def _applies_replicas() -> tuple[Replaced, ...]:
    return ((final_config, "without_replicas", lambda dgd: dgd),)


def _claims_nothing() -> tuple[Replaced, ...]:
    async def granted(self: Any, *_: Any) -> bool:
        return True

    return ((budgets.ClusterBudgets, "claim", granted),)


# -- of a kind that operators are known for


def _creates_blindly() -> tuple[Replaced, ...]:
    start = profiling_start.ProfilingStart.start

    async def blind(self: Any, seen: Any, step: Any, hardware: Any) -> Step:
        try:
            return await start(self, replace(seen, job=JobSeen()), step, hardware)
        except profiling_start.Conflict as exc:
            return Fail(
                aspect=Aspect.PROFILING,
                reason="JobCreationFailed",
                message=str(exc),
                event="ProfilingJobFailed",
            )

    return ((profiling_start.ProfilingStart, "start", blind),)


def _deletes_by_label() -> tuple[Replaced, ...]:
    def labelled(dgd: Any) -> bool:
        return "dgdr.dev/run" in (dgd["metadata"].get("labels") or {})

    return ((observed_run, "is_candidate", labelled),)


def _tells_each_time() -> tuple[Replaced, ...]:
    name, count = event_writer.event_name, iter(range(10**6))
    return ((event_writer, "event_name", lambda event: f"{name(event)}-{next(count)}"),)


def _loses_marks() -> tuple[Replaced, ...]:
    mark, notice = workqueue.WorkQueue._mark, workqueue.WorkQueue.notice

    def forgetful(self: Any, key: Any, urgency: Any) -> None:
        if key not in self._running:
            mark(self, key, urgency)

    def deaf(self: Any, key: Any, *how: Any, **more: Any) -> None:
        if key not in self._running:
            notice(self, key, *how, **more)

    return (
        (workqueue.WorkQueue, "_mark", forgetful),
        (workqueue.WorkQueue, "notice", deaf),
        (dgdr_pass, "look_again_s", lambda *_: None),
        (graph_patience, "_look_again_s", lambda *_: 1e6),
    )


def _deaf_after_410() -> tuple[Replaced, ...]:
    listen = following._Follower.list_and_watch

    async def deaf(self: Any) -> None:
        try:
            await listen(self)
        except Expired:
            await asyncio.Event().wait()

    return ((following._Follower, "list_and_watch", deaf),)


def _ends_of_outage() -> tuple[Replaced, ...]:
    async def fatal(*where: Any, labels: str, watch: following.Watch) -> None:
        try:
            await following._Follower(*where, asyncio.sleep, labels, watch).list_and_watch()
        except ClusterError as exc:
            raise RuntimeError(f"cannot watch: {exc}") from exc

    return ((kopf_feed, "follow", fatal),)


def _refusals_are_final() -> tuple[Replaced, ...]:
    from dgdr_operator.core import refusals

    return ((refusals, "_may_go_away", lambda status, message: False),)


def _shares_nothing_ending() -> tuple[Replaced, ...]:
    return ((observer, "_needs_pods", lambda policy, status: False),)


def _never_answers_rerun() -> tuple[Replaced, ...]:
    return ((status, "asks_again", lambda request: False),)


def _never_resumes() -> tuple[Replaced, ...]:
    act = dgdr_actor.DgdrActor.act

    async def idle(self: Any, seen: Any, step: Any) -> Any:
        return step if isinstance(step, Resume) else await act(self, seen, step)

    return ((dgdr_actor.DgdrActor, "act", idle),)


def _any_number_of_candidates() -> tuple[Replaced, ...]:
    async def go(self: Any, dgd: Any) -> None:
        return None

    return ((candidate_queue.CandidateQueue, "why_wait", go),)


def _a_deleted_job_is_the_end() -> tuple[Replaced, ...]:
    return ((lifecycle, "_start_again", lifecycle._profiling_failed),)


def _dated_each_pass() -> tuple[Replaced, ...]:
    saying = draft.Draft.saying

    def dated(self: Any, aspect: Any, *rest: Any, **more: Any) -> Any:
        return saying(self.without(aspect), aspect, *rest, **more)

    return ((draft.Draft, "saying", dated),)


def _believes_its_cache() -> tuple[Replaced, ...]:
    def nothing(self: Any, *_: Any) -> None:
        return None

    return (
        (store.Store, "wrote", nothing),
        (store.Store, "read", nothing),
        (remembering.RememberingCluster, "fresh", property(lambda self: self)),
    )


def _remakes_deleted() -> tuple[Replaced, ...]:
    return ((lifecycle, "was_created", lambda status: False),)


def _dies_of_a_conflict() -> tuple[Replaced, ...]:
    serve = workqueue.WorkQueue._outcome

    async def once(self: Any, key: Any, reconcile: Any) -> Any:
        try:
            return await reconcile(key)
        except ClusterError:
            return None

    del serve
    return ((workqueue.WorkQueue, "_outcome", once),)


def _says_deployed_at_once() -> tuple[Replaced, ...]:
    from dgdr_operator.core.steps import ReportDeployed

    return ((lifecycle, "_follow", lambda seen, dgd: ReportDeployed()),)


PLANTS: tuple[Plant, ...] = (
    Plant(
        name="deploys-once", of="ai-dynamo/dynamo#10105", class_="K", scenarios=("deploy",),
        says="profiling is done, the deployment is never created, the request stays Deploying",
        near="Job", replaced=_deploys_once,
    ),
    Plant(
        name="one-event", of="ai-dynamo/dynamo#11250, #11340", class_="K", scenarios=("deploy",),
        says="one event is relied on: output and Job are told of in any order",
        replaced=_one_event,
    ),
    Plant(
        name="own-word-for-ready", of="release 0.8.0", class_="K", scenarios=("deploy",),
        says="one side writes `successful`, the other reads `ready`",
        replaced=_own_word_for_ready,
    ),
    Plant(
        name="adopts", of="ai-dynamo/dynamo#13876, #13885", class_="K", scenarios=("foreign",),
        says="somebody else's deployment of the same name is taken for one's own",
        replaced=_adopts,
    ),
    Plant(
        name="makes-again", of="ai-dynamo/dynamo#8204", class_="K", scenarios=("going",),
        says="children are made again while their deployment is being deleted",
        replaced=_makes_again,
    ),
    Plant(
        name="prunes-nothing", of="ai-dynamo/dynamo#3379", class_="K", scenarios=("graph",),
        says="a component is removed, its Deployment stays",
        replaced=_prunes_nothing,
    ),
    Plant(
        name="no-progress", of="ai-dynamo/dynamo#5470, #6855", class_="K", scenarios=("deploy",),
        says="nobody can see how far profiling is",
        replaced=_tells_no_progress,
    ),
    Plant(
        name="nameless", of="airunway #282, #425, #427, #428", class_="K", scenarios=("deploy",),
        says="the status does not name the deployment",
        replaced=_no_name_in_status,
    ),
    Plant(
        name="leaves-candidates", of="ai-dynamo/dynamo#2030, #2857", class_="J",
        scenarios=("settle",), says="candidates of a failed run keep their GPUs",
        replaced=_leaves_candidates,
    ),
    Plant(
        name="keeps-jobs", of="ai-dynamo/dynamo#7631, #6395", class_="K", scenarios=("deploy",),
        says="finished Jobs are never cleaned", replaced=_keeps_jobs,
    ),
    Plant(
        name="data-of-request", of="ai-dynamo/dynamo#7782, #8766", class_="K",
        scenarios=("gone-deployed",),
        says="curves are collected with the request, and the planner has none",
        replaced=_data_of_request,
    ),
    Plant(
        name="applies-replicas", of="ai-dynamo/dynamo#9450, #6491", class_="K",
        scenarios=("deploy",), says="replicas are applied, and a scale is taken back",
        replaced=_applies_replicas,
    ),
    Plant(
        name="claims-nothing", of="ai-dynamo/dynamo#11220", class_="K", scenarios=("budget",),
        says="a shared GPU budget is not enforced", replaced=_claims_nothing,
    ),
    Plant(
        name="creates-blindly", of="operators", class_="K", scenarios=("deploy",),
        says="a Job is created without a look, and AlreadyExists fails the run",
        near="Event", replaced=_creates_blindly,
    ),
    Plant(
        name="deletes-by-label", of="operators", class_="K", scenarios=("copied",),
        says="a user's deployment with a copied label is deleted", replaced=_deletes_by_label,
    ),
    Plant(
        name="tells-each-time", of="operators", class_="K", scenarios=("deploy",),
        says="an event has another name each time", replaced=_tells_each_time,
    ),
    Plant(
        name="loses-marks", of="operators", class_="K", scenarios=("deploy",),
        says="what comes during a pass is forgotten, and nobody looks again", replaced=_loses_marks,
    ),
    Plant(
        name="deaf-after-410", of="kopf, our own at 9d69dd7", class_="W", scenarios=("deploy",),
        says="410 ends a watch for good", replaced=_deaf_after_410,
    ),
    Plant(
        name="ends-of-outage", of="kopf, our own at 9d69dd7", class_="A", scenarios=("deploy",),
        says="an answer of 503 ends the process", replaced=_ends_of_outage,
    ),
    Plant(
        name="refusals-are-final", of="operators", class_="A", scenarios=("deploy",),
        says="a 403 that goes away fails the request", near="403", replaced=_refusals_are_final,
    ),
    Plant(
        name="forgets-ending-pods", of="operators", class_="K", scenarios=("budget",),
        says="GPUs of pods that are ending count as free", replaced=_shares_nothing_ending,
    ),
    Plant(
        name="rerun-unanswered", of="operators", class_="K", scenarios=("rerun",),
        says="a re-run that was asked for is never answered", replaced=_never_answers_rerun,
    ),
    Plant(
        name="never-resumes", of="operators", class_="K", scenarios=("suspend",),
        says="what was suspended stays so", replaced=_never_resumes,
    ),
    Plant(
        name="any-number", of="our own, found by the campaign", class_="K", scenarios=("rerun",),
        says="candidates hold more GPUs than gpusAtOnce", replaced=_any_number_of_candidates,
    ),
    Plant(
        name="deleted-job-is-the-end", of="operators", class_="J", scenarios=("settle",),
        says="a Job that somebody deleted fails the request", replaced=_a_deleted_job_is_the_end,
    ),
    Plant(
        name="dated-each-pass", of="operators", class_="K", scenarios=("deploy",),
        says="each pass writes another time into the status", replaced=_dated_each_pass,
    ),
    Plant(
        name="remakes-deleted", of="operators", class_="S", scenarios=("deploy",),
        says="a deployment that its owner deleted comes again", replaced=_remakes_deleted,
    ),
    Plant(
        name="tries-once", of="operators", class_="A", scenarios=("deploy",),
        says="a pass that failed is not tried again", replaced=_dies_of_a_conflict,
    ),
    Plant(
        name="says-deployed", of="operators", class_="S", scenarios=("deploy",),
        says="Deployed is said of what does not serve", replaced=_says_deployed_at_once,
    ),
)  # fmt: skip

BY_NAME: Mapping[str, Plant] = {plant.name: plant for plant in PLANTS}
