"""Candidates that fail, made for real and all at once: each ends soon, with its reason.

Every request has one engine to try, broken by ``overrides.dgd``; one request has two.
"""

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from dgdr_api import names
from dgdr_api.names import Label
from hack.demo.kube import Kube, Manifest, condition
from hack.demo.request import gpus_requested
from hack.mocker_profiles import npz_bytes
from support.broken import BREACHES, READY_TIMEOUT_S, SCHEDULE_TIMEOUT_S, Breach, signs
from support.e2e import mocked_request, policy, prepare
from support.profiled import output_of, points_of, report_of

pytestmark = pytest.mark.e2e

NAMESPACE = "dgdr-failures"
SURVIVOR = "survivor"
ENDED = ("Failed", "Ready")
TINY = {"isl": 256, "osl": 16}
LOOSE = {"ttft": 5000, "itl": 500}
# The machine's other work delays everything here; a wait of minutes for what has failed is what
# must not be. The figures that are printed say how good it was.
BOUND_S = 45.0


@dataclass(slots=True)
class Story:
    """When things were seen of one request, by the monotonic clock.

    ``sound_s`` is the last look at which its candidate stood and no failure was visible.
    """

    sound_s: float | None = None
    struck: bool = False
    visible_s: float | None = None
    gone_s: float | None = None
    over_s: float | None = None
    status: Manifest = field(default_factory=dict)

    @property
    def failed_s(self) -> float | None:
        """When the failure was visible, at the latest: some are over between two looks."""
        return self.sound_s if self.visible_s is None else self.visible_s

    @property
    def words(self) -> str:
        """How the status sums it up."""
        return str(condition({"status": self.status}, "Succeeded").get("message"))


def breach_of(name: str) -> Manifest:
    """A request whose only candidate is one broken aggregated engine."""
    breach = BREACHES[name]
    return mocked_request(
        name, NAMESPACE, breach.policy, workload=TINY, sla=LOOSE, dgd=breach.override(),
        hardware={"totalGpus": breach.gpus, "numGpusPerNode": breach.gpus},
        features={
            "mocker": {"enabled": True}, "planner": {"mode": "agg", "max_gpu_budget": breach.gpus},
        },
    )  # fmt: skip


def survivor() -> Manifest:
    """A request whose aggregated engine looks best, and crashes; its pair is sound."""
    return mocked_request(
        SURVIVOR, NAMESPACE, "small", autoApply=False, sla=LOOSE,
        workload={**TINY, "requestRate": 0.2}, dgd=BREACHES["crash"].override(),
        hardware={"totalGpus": 4, "numGpusPerNode": 4},
    )  # fmt: skip


def policies() -> Iterator[Manifest]:
    """One engine for each request."""
    yield policy("demo", NAMESPACE, minGpusPerEngine=1, maxGpusPerEngine=1)
    one = {"minGpusPerEngine": 1, "maxGpusPerEngine": 1}
    yield policy("hurried", NAMESPACE, **one, candidateTimeout=f"{READY_TIMEOUT_S}s")
    yield policy("small", NAMESPACE, **one, mocker={"speedupRatio": 1, "kvBlocks": 64})
    yield policy(
        "large", NAMESPACE, minGpusPerEngine=32, maxGpusPerEngine=32,
        scheduleTimeout=f"{SCHEDULE_TIMEOUT_S}s", mocker={"profilesConfigMap": "large-profiles"},
    )  # fmt: skip


def large_profiles() -> Manifest:
    """Data of an engine that is larger than any node."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "large-profiles", "namespace": NAMESPACE},
        "binaryData": {"tp-32.npz": base64.b64encode(npz_bytes(32)).decode()},
    }


@pytest.fixture(scope="module")
def stories(kube: Kube) -> Iterator[dict[str, Story]]:
    """What was seen of each request until all of them were over."""
    prepare(kube, NAMESPACE)
    kube.apply_all([large_profiles(), *policies()])
    kube.apply_all([*(breach_of(name) for name in BREACHES), survivor()])
    seen = {name: Story() for name in (*BREACHES, SURVIVOR)}
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and any(s.over_s is None for s in seen.values()):
        note(kube, seen)
        time.sleep(0.5)
    yield seen
    kube.run("delete", "namespace", NAMESPACE, "--wait=false")


def note(kube: Kube, seen: dict[str, Story]) -> None:
    """Look once at all requests, their candidates and pods."""
    found = json.loads(
        kube.run("get", "dgdr,dgd,pods", "--namespace", NAMESPACE, "--output", "json")
    )["items"]
    now = time.monotonic()
    graphs = {o["metadata"]["name"] for o in found if o["kind"] == "DynamoGraphDeployment"}
    for name, story in seen.items():
        pods = [o for o in found if o["kind"] == "Pod" and is_engine_of(o, name)]
        stands = graph_of(name) in graphs
        blow = breach_in(name).blow
        if blow is not None and not story.struck:
            story.struck = any(blow(kube, pod) for pod in pods)
        if story.visible_s is None and any(breach_in(name).sign in signs(pod) for pod in pods):
            story.visible_s = now
        elif story.visible_s is None and stands:
            story.sound_s = now
        if story.failed_s is not None and story.gone_s is None and not stands:
            story.gone_s = now
        dgdr = next(o for o in found if is_request(o, name))
        story.status = dgdr.get("status", {})
        if story.over_s is None and story.status.get("phase") in ENDED:
            story.over_s = now


def breach_in(name: str) -> Breach:
    """What is broken in a request."""
    return BREACHES["crash" if name == SURVIVOR else name]


def graph_of(name: str) -> str:
    """The deployment of a request's broken candidate."""
    return names.candidate_dgd_name(name, f"agg-tp{breach_in(name).gpus}")


def is_engine_of(pod: Manifest, name: str) -> bool:
    """Whether a pod is the broken engine of a request."""
    labels = pod["metadata"].get("labels", {})
    return labels.get(Label.GRAPH) == graph_of(name) and labels.get(Label.COMPONENT) == "worker"


def is_request(found: Manifest, name: str) -> bool:
    """Whether an object is the request of that name."""
    kind = "DynamoGraphDeploymentRequest"
    return bool(found["kind"] == kind and found["metadata"]["name"] == name)


def test_failures_end_their_candidates_soon(
    stories: dict[str, Story], figures: Callable[..., None]
) -> None:
    late: dict[str, float] = {}
    for name, story in stories.items():
        assert story.failed_s is not None, f"{name} never had a candidate: {story.words}"
        assert story.gone_s is not None, f"{name}: still there; {story.words}"
        late[name] = round(story.gone_s - story.failed_s - breach_in(name).patience_s, 1)
    figures(seconds_from_visible_to_gone_beyond_patience=late)
    assert max(late.values()) <= BOUND_S, late


@pytest.mark.parametrize("name", BREACHES)
def test_the_status_names_container_and_cause(
    name: str, stories: dict[str, Story], figures: Callable[..., None]
) -> None:
    story = stories[name]
    figures(**{name: story.words})
    assert story.status["phase"] == "Failed"
    said = str(condition({"status": story.status}, "Profiling").get("message"))
    missing = [part for part in BREACHES[name].said if part not in said]
    assert not missing, said
    assert BREACHES[name].said[0] in story.words  # what a column has room for


def test_a_candidate_that_fails_does_not_keep_the_other_from_being_measured(
    kube: Kube, stories: dict[str, Story], figures: Callable[..., None]
) -> None:
    story = stories[SURVIVOR]
    report = report_of(output_of(kube, SURVIVOR, NAMESPACE))
    figures(survivor=story.words, notes=report["notes"])
    assert story.status["phase"] == "Ready", story.words
    assert report["selection"]["shape"] == "TP=1"
    by_id = {candidate["id"]: candidate for candidate in report["candidates"]}
    assert all(part in by_id["agg-tp1"]["rejected"] for part in BREACHES["crash"].said)
    assert {point.candidate for point in points_of(kube, SURVIVOR, NAMESPACE)} == {"p-tp1"}


@pytest.mark.usefixtures("stories")
def test_nothing_is_left_and_all_gpus_are_free(kube: Kube) -> None:
    assert kube.list("dgd", NAMESPACE) == []
    left = kube.list("pods", NAMESPACE, Label.GRAPH)
    assert [pod["metadata"]["name"] for pod in left] == []
    assert sum(gpus_requested(pod) for pod in kube.list("pods", NAMESPACE)) == 0
