"""Candidates of one run never hold more GPUs than the run may, whatever its Job does."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.gpus import Uncountable
from dgdr_kube.kinds import DGD, POD
from dgdr_kube.ports import Key
from dgdr_operator.core.candidate_limit import Candidate, held_back
from dgdr_operator.followed import COLLECTIONS
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.passes.graph_patience import LOOK_AGAIN_S
from dgdr_operator.settings import parse
from support.candidates import OWNER, told
from support.claims import claim_template
from support.counting_cluster import CountingCluster
from support.dgdr_world import generated_dgd
from support.fake_cluster import FakeCluster
from support.late_watches import LateWatches

NOW = datetime(2025, 1, 1, tzinfo=UTC)


def candidate(name: str, gpus: int, second: int = 0, **labels: str) -> dict[str, Any]:
    """One with a prefill and a decode worker of so many GPUs each."""
    made = generated_dgd(gpus=gpus, name=name)
    made["metadata"] |= {
        "namespace": "ns",
        "labels": {"dgdr.dev/run": "u-1", **labels},
        "ownerReferences": [OWNER.to_json()],
        "creationTimestamp": f"2025-01-01T00:00:{second:02}Z",
    }
    return made


async def passes(cluster: FakeCluster, *names: str) -> float | None:
    after = None
    for name in names:
        after = await GraphPass(cluster, parse("images: {profiler: p}"))(Key("ns", name), NOW)
    return after


def pods_of(cluster: FakeCluster) -> set[str]:
    return {k.split("/")[-1] for k in cluster.everything() if k.startswith("Deployment/")}


def ready(cluster: FakeCluster, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = (cluster.peek(DGD, "ns", name) or {})["status"]["conditions"]
    return next(c for c in found if c["type"] == "Ready")


async def test_a_candidate_beyond_the_limit_gets_no_pods_and_says_why() -> None:
    cluster = FakeCluster()
    cluster.seed(told(8, gpusAtOnce=6), candidate("a", 2), candidate("b", 2, second=1))
    assert await passes(cluster, "b", "a", "b") == LOOK_AGAIN_S
    assert pods_of(cluster) == {"a-frontend", "a-prefill", "a-decode"}
    assert (ready(cluster, "b")["status"], ready(cluster, "b")["reason"]) == (
        "False",
        "insufficient_capacity",
    )
    assert ready(cluster, "b")["message"] == (
        "not started: it needs 4 GPUs, a of the same run hold 4, and the ProfilingPolicy's "
        "gpusAtOnce, or hardware.totalGpus, allows 6 at once"
    )


@pytest.mark.parametrize(
    ("most", "started"),
    [
        pytest.param(4, set[str](), id="too many"),
        pytest.param(6, {"a-frontend", "a-prefill", "a-decode"}, id="room enough"),
    ],
)
async def test_claims_of_a_candidate_count_with_what_their_template_hands_out(
    most: int, started: set[str]
) -> None:
    cluster = FakeCluster()
    claiming = candidate("a", 2)
    spec = claiming["spec"]["components"][2]["podTemplate"]["spec"]
    spec["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "two"}]
    cluster.seed(told(most), claim_template("two", "gpu.nvidia.com", 2), claiming)
    await passes(cluster, "a")
    assert pods_of(cluster) == started


async def test_it_is_started_once_there_is_room() -> None:
    cluster = FakeCluster()
    cluster.seed(told(4), candidate("a", 2), candidate("b", 2, second=1))
    await passes(cluster, "a", "b")
    await cluster.delete(DGD, "ns", "a")
    await passes(cluster, "b")
    assert "b-decode" in pods_of(cluster)


def pod(name: str, graph: str, *, ending: bool) -> dict[str, Any]:
    """A pod of the run with four GPUs."""
    ends = {"deletionTimestamp": "2025-01-01T00:00:09Z"} if ending else {}
    main = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": "4"}}}
    labels = {"dgdr.dev/run": "u-1", "nvidia.com/dynamo-graph-deployment-name": graph}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "ns", "labels": labels, **ends},
        "spec": {"containers": [main]},
    }


@pytest.mark.parametrize(
    ("graph", "ending"),
    [
        pytest.param("a", True, id="of the one before it"),
        pytest.param("a", False, id="of the one before it, not yet told to end"),
        pytest.param("b", True, id="of an earlier one of its name"),
        pytest.param("b", False, id="of an earlier one of its name, not yet told to end"),
    ],
)
async def test_pods_of_a_candidate_that_is_gone_hold_their_gpus(graph: str, ending: bool) -> None:
    cluster = FakeCluster()
    cluster.seed(told(6), candidate("b", 2), pod("left", graph, ending=ending))
    await passes(cluster, "b")
    assert pods_of(cluster) == set()
    assert "pods of the run that are ending hold 4" in ready(cluster, "b")["message"]
    cluster.vanish(POD, "ns", "left")
    await passes(cluster, "b")
    assert "b-decode" in pods_of(cluster)


async def test_a_candidate_that_has_begun_waits_for_no_pod_of_its_own() -> None:
    cluster = FakeCluster()
    cluster.seed(told(4), candidate("b", 2))
    await passes(cluster, "b")
    cluster.seed(pod("evicted", "b", ending=True))
    await passes(cluster, "b")
    assert "not started" not in ready(cluster, "b")["message"]


async def test_a_deployment_that_only_copies_the_label_waits_for_nobody() -> None:
    cluster = FakeCluster()
    copied = candidate("copy", 64)
    del copied["metadata"]["ownerReferences"]
    cluster.seed(told(4), copied)
    await passes(cluster, "copy")
    assert "copy-decode" in pods_of(cluster)


async def test_a_deployment_that_only_copies_the_label_holds_up_nobody() -> None:
    cluster = FakeCluster()
    copied = candidate("copy", 64)
    del copied["metadata"]["ownerReferences"]
    cluster.seed(told(4), copied, candidate("b", 2, second=1), pod("of-copy", "copy", ending=False))
    await passes(cluster, "b")
    assert "b-decode" in pods_of(cluster)


async def test_a_run_without_a_limit_has_none() -> None:
    cluster = FakeCluster()
    cluster.seed(told(None), candidate("a", 64))
    await passes(cluster, "a")
    assert "a-decode" in pods_of(cluster)


async def test_an_unknown_limit_is_not_none() -> None:
    cluster = FakeCluster()
    cluster.seed(candidate("a", 1))
    await passes(cluster, "a")
    assert pods_of(cluster) == set()
    assert "nobody knows how many GPUs" in ready(cluster, "a")["message"]


async def test_a_candidate_that_waits_asks_the_server_nothing() -> None:
    cluster = CountingCluster()
    cluster.seed(told(4), candidate("a", 2), candidate("b", 2, second=1))
    watches = LateWatches(cluster, COLLECTIONS)
    run = GraphPass(watches.cluster, parse("images: {profiler: p}"))
    await run(Key("ns", "b"), NOW)
    watches.tell()
    cluster.reads = 0
    assert await run(Key("ns", "b"), NOW) == LOOK_AGAIN_S
    assert cluster.reads == 0
    await cluster.delete(DGD, "ns", "a")
    watches.tell()
    await run(Key("ns", "b"), NOW)
    assert "b-decode" in pods_of(cluster)


async def test_a_candidate_that_is_heard_of_before_its_request_is_not_held_back() -> None:
    cluster = FakeCluster()
    cluster.seed(candidate("a", 2))
    watches = LateWatches(cluster, COLLECTIONS)
    cluster.seed(told(4))
    await GraphPass(watches.cluster, parse("images: {profiler: p}"))(Key("ns", "a"), NOW)
    assert "a-decode" in pods_of(cluster)


CANDIDATES = st.lists(st.integers(1, 8), max_size=8).map(
    lambda sizes: [Candidate(created=str(i), name=str(i), gpus=n) for i, n in enumerate(sizes)]
)


@given(CANDIDATES, st.integers(0, 16), st.data())
def test_no_order_of_coming_and_going_passes_the_limit(
    candidates: list[Candidate], most: int, data: st.DataObject
) -> None:
    there, started = list(candidates), set[str]()
    while there:
        for one in data.draw(st.permutations(there)):
            if held_back(one.name, there, most) is None:
                started.add(one.name)
            assert sum(c.gpus for c in there if c.name in started) <= most
        there.remove(data.draw(st.sampled_from(there)))


@pytest.mark.parametrize("name", ["a", "b"])
def test_candidates_of_the_same_second_queue_by_name(name: str) -> None:
    both = [Candidate(created="1", name=n, gpus=4) for n in "ba"]
    assert (held_back(name, both, 4) is None) is (name == "a")


def test_a_candidate_that_nobody_can_count_waits_and_holds_up_nobody() -> None:
    unknown = Candidate(
        created="1", name="a", gpus=Uncountable("resourceClaims[gpu] says nothing", 4)
    )
    other = Candidate(created="2", name="b", gpus=2)
    why = held_back("a", (unknown, other), 4)
    assert why == "not started: 4 GPUs are allowed at once, and resourceClaims[gpu] says nothing"
    assert held_back("b", (unknown, other), 4) is None
