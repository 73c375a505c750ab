"""Restarts by id: in turn or at once, each component once, also after a kill."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dgdr_api.models.dgd_v1beta1 import RestartPhase, RestartStatus
from dgdr_api.reading import CodecError
from dgdr_kube.kinds import DEPLOYMENT, DGD
from dgdr_kube.ports import Key
from dgdr_operator.core.restart import (
    RESTARTED_FOR,
    Restart,
    Standing,
    have_come,
    planned,
    restart_of,
)
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.settings import parse
from support.crds import installed
from support.dgds import decode_worker, dgd, frontend, graph
from support.fake_cluster import FakeCluster

NOW = datetime(2025, 1, 1, tzinfo=UTC)
SETTINGS = parse("images: {profiler: p}")
IN_TURN = Restart(id="2", order=("a", "b"))
AT_ONCE = Restart(id="2", order=("a", "b"), at_once=True)


def standing(id_: str | None, ready: bool = True) -> Standing:
    return Standing(id=id_, ready=ready)


def test_the_first_goes_first_and_the_others_keep_theirs() -> None:
    plan = planned(IN_TURN, {"a": standing("1"), "b": standing("1")}, None)
    assert plan.ids == {"a": "2", "b": "1"}
    assert plan.status == RestartStatus(
        observed_id="2", phase=RestartPhase.RESTARTING, in_progress=("a",)
    )


@pytest.mark.parametrize(
    ("a", "b", "ids", "in_progress"),
    [
        (standing("2", ready=False), standing("1"), {"a": "2", "b": "1"}, ("a",)),
        (standing("2"), standing("1"), {"a": "2", "b": "2"}, ("b",)),
        (standing("2"), standing("2", ready=False), {"a": "2", "b": "2"}, ("b",)),
        (standing("2"), standing("2"), {"a": "2", "b": "2"}, None),
    ],
)
def test_the_next_goes_when_the_one_before_is_ready(
    a: Standing, b: Standing, ids: dict[str, str], in_progress: Any
) -> None:
    plan = planned(IN_TURN, {"a": a, "b": b}, None)
    assert plan.ids == ids
    assert plan.status is not None
    assert plan.status.in_progress == in_progress
    assert (plan.status.phase is RestartPhase.COMPLETED) is (in_progress is None)


def test_all_go_at_once_where_that_is_asked() -> None:
    plan = planned(AT_ONCE, {"a": standing(None), "b": standing("1")}, None)
    assert plan.ids == {"a": "2", "b": "2"}


def test_what_was_restarted_stays_so_though_a_pod_fails_later() -> None:
    done = RestartStatus(observed_id="2", phase=RestartPhase.COMPLETED)
    plan = planned(IN_TURN, {"a": standing("2", ready=False), "b": standing("2")}, done)
    assert plan.status == done


def test_nothing_changes_when_nothing_is_asked_any_more() -> None:
    plan = planned(None, {"a": standing("1"), "b": standing(None)}, None)
    assert (plan.ids, plan.status) == ({"a": "1"}, None)


def test_a_component_without_pods_is_made_with_the_id_and_holds_up_nobody() -> None:
    plan = planned(IN_TURN, {"b": standing("1")}, None)
    assert plan.ids == {"a": "2", "b": "2"}


def test_an_id_that_an_operator_without_restarts_passed_over_is_done() -> None:
    there = {"a": standing(None), "b": standing("1")}
    plan = planned(Restart(id="2", order=("a", "b", "c")), there, None, was_seen=True)
    assert plan.ids == {"a": None, "b": "1", "c": "2"}
    done = RestartStatus(observed_id="2", phase=RestartPhase.COMPLETED)
    assert plan.status == done
    assert planned(IN_TURN, there, done).ids == {"a": None, "b": "1"}


def test_a_restart_that_was_begun_goes_on_though_no_status_told_of_it() -> None:
    plan = planned(IN_TURN, {"a": standing("2"), "b": standing(None)}, None, was_seen=True)
    assert plan.ids == {"a": "2", "b": "2"}


def test_the_order_is_completed_by_name() -> None:
    asked = restart_of(
        graph(frontend(), decode_worker(), restart={"id": "x", "strategy": {"order": ["decode"]}})
    )
    assert asked == Restart(id="x", order=("decode", "Frontend"))


@pytest.mark.parametrize(
    ("strategy", "text"),
    [
        ({"order": ["prefill"]}, r"order\[0\]: 'prefill' is not the name of a component"),
        ({"type": "Random"}, "strategy.type: 'Random' is not one of Sequential, Parallel"),
        ({"order": "decode"}, "order: 'decode' is not an array of strings"),
    ],
)
def test_a_restart_that_cannot_be_read_is_named(strategy: Any, text: str) -> None:
    with pytest.raises(CodecError, match=text):
        restart_of(graph(frontend(), restart={"id": "x", "strategy": strategy}))


# -- passes


def restarted(cluster: FakeCluster) -> dict[str, str]:
    found = {}
    for name in ("g-decode", "g-frontend"):
        template = (cluster.peek(DEPLOYMENT, "ns", name) or {})["spec"]["template"]
        annotations = template["metadata"].get("annotations") or {}
        found[name] = annotations.get(RESTARTED_FOR, "")
    return found


def become_ready(cluster: FakeCluster) -> None:
    for name in ("g-decode", "g-frontend"):
        live = cluster.peek(DEPLOYMENT, "ns", name) or {}
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        report = dict.fromkeys(counts, 1)
        report["observedGeneration"] = live["metadata"]["generation"]
        cluster.set_status(DEPLOYMENT, "ns", name, report)


def ask(cluster: FakeCluster, **restart: Any) -> None:
    live = cluster.peek(DGD, "ns", "g") or {}
    live["spec"]["restart"] = restart
    live["metadata"]["generation"] += 1
    cluster.seed(live)


async def test_a_graph_restarts_one_component_after_the_other() -> None:
    cluster = FakeCluster(NOW)
    cluster.seed(dgd(frontend(), decode_worker()), *installed())

    async def run() -> Any:
        await GraphPass(cluster, SETTINGS)(Key("ns", "g"), NOW)
        return (cluster.peek(DGD, "ns", "g") or {})["status"].get("restart")

    await run()
    become_ready(cluster)
    assert await run() is None
    ask(cluster, id="1", strategy={"order": ["decode"]})
    told = await run()
    assert told == {"observedID": "1", "phase": "Restarting", "inProgress": ["decode"]}
    assert restarted(cluster) == {"g-decode": "1", "g-frontend": ""}
    await run()
    assert restarted(cluster) == {"g-decode": "1", "g-frontend": ""}
    become_ready(cluster)
    await run()
    assert restarted(cluster) == {"g-decode": "1", "g-frontend": "1"}
    become_ready(cluster)
    assert await run() == {"observedID": "1", "phase": "Completed"}
    before = len(cluster.writes)
    await run()
    assert cluster.writes[before:] == []


async def test_an_upgrade_restarts_nobody_by_an_id_that_had_no_effect() -> None:
    cluster = FakeCluster(NOW)
    cluster.seed(dgd(frontend(), decode_worker()), *installed())
    await GraphPass(cluster, SETTINGS)(Key("ns", "g"), NOW)
    become_ready(cluster)
    ask(cluster, id="r1")
    live = cluster.peek(DGD, "ns", "g") or {}
    cluster.set_status(DGD, "ns", "g", {"observedGeneration": live["metadata"]["generation"]})
    for _ in range(2):
        await GraphPass(cluster, SETTINGS)(Key("ns", "g"), NOW)
        told = (cluster.peek(DGD, "ns", "g") or {})["status"]["restart"]
        assert told == {"observedID": "r1", "phase": "Completed"}
        assert restarted(cluster) == {"g-decode": "", "g-frontend": ""}
    ask(cluster, id="r2")
    await GraphPass(cluster, SETTINGS)(Key("ns", "g"), NOW)
    assert restarted(cluster) == {"g-decode": "", "g-frontend": "r2"}


async def test_a_restart_of_nobody_is_a_condition_and_holds_up_no_edit() -> None:
    cluster = FakeCluster(NOW)
    cluster.seed(dgd(frontend(), decode_worker()), *installed())
    await GraphPass(cluster, SETTINGS)(Key("ns", "g"), NOW)
    live = cluster.peek(DGD, "ns", "g") or {}
    live["spec"]["components"] = [frontend(replicas=3)]
    cluster.seed(live)
    ask(cluster, id="1", strategy={"order": ["decode"]})
    for _ in range(2):
        await GraphPass(cluster, SETTINGS)(Key("ns", "g"), NOW)
        status = (cluster.peek(DGD, "ns", "g") or {})["status"]
        assert "spec.restart.strategy.order[0]: 'decode'" in status["conditions"][0]["message"]
    kept = cluster.peek(DEPLOYMENT, "ns", "g-frontend") or {}
    assert kept["spec"]["replicas"] == 3
    assert RESTARTED_FOR not in str(kept["spec"])
    assert cluster.peek(DEPLOYMENT, "ns", "g-decode") is None


def test_a_completed_restart_may_name_who_has_gone() -> None:
    of = graph(frontend(), restart={"id": "1", "strategy": {"order": ["decode"]}})
    done = RestartStatus(observed_id="1", phase=RestartPhase.COMPLETED)
    assert restart_of(of, done) == Restart(id="1", order=("Frontend",))
    with pytest.raises(CodecError):
        restart_of(of, RestartStatus(observed_id="1", phase=RestartPhase.RESTARTING))


def group_of(id_: str | None, **status: Any) -> dict[str, Any]:
    annotations = {} if id_ is None else {RESTARTED_FOR: id_}
    template = {"metadata": {"annotations": annotations}}
    inner = {"size": 2, "leaderTemplate": template, "workerTemplate": template}
    spec = {"replicas": 1, "leaderWorkerTemplate": inner}
    return {"kind": "LeaderWorkerSet", "spec": spec, "status": status}


def pod(id_: str | None = "2", *, ready: bool = True, leaves: bool = False) -> dict[str, Any]:
    metadata: dict[str, Any] = {"annotations": {} if id_ is None else {RESTARTED_FOR: id_}}
    metadata |= {"deletionTimestamp": "2025-01-01T00:00:00Z"} if leaves else {}
    return {"metadata": metadata, "status": {"containerStatuses": [{"ready": ready}]}}


@pytest.mark.parametrize(
    ("pods", "come"),
    [
        ([pod(), pod()], True),
        ([pod("1"), pod("1")], False),
        ([pod(), pod(None)], False),
        ([pod(), pod(ready=False)], False),
        ([pod(), pod(leaves=True)], False),
        ([pod()], False),
        ([pod(), pod(), pod("1", leaves=True)], False),
        ([], False),
    ],
)
def test_a_group_that_tells_no_generation_is_known_by_its_pods(pods: Any, come: bool) -> None:
    assert have_come(group_of("2"), pods) is come
    assert have_come(group_of("2", observedGeneration=3), pods)
    assert have_come(group_of(None), pods)
