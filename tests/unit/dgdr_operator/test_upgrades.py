"""Pods are made anew by a change of their deployment, on request or in turn: by nothing else."""

import asyncio
import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dgdr_api.codec_v1beta1 import decode
from dgdr_kube.errors import Conflict, Rejected
from dgdr_kube.kinds import DEPLOYMENT, DGD, ROLE_BINDING
from dgdr_kube.ports import Key
from dgdr_operator.core.pinned import graph_hash
from dgdr_operator.core.restart import RESTARTED_FOR
from dgdr_operator.core.upgrades import READY_WITHIN
from dgdr_operator.passes.graph_children import ChildWriter
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.passes.graph_patience import LOOK_AGAIN_FOR_TURN_S
from dgdr_operator.settings import parse
from support.candidates import OWNER, told
from support.counting_cluster import CountingCluster
from support.crds import installed
from support.dgds import decode_worker, dgd, frontend
from support.fake_cluster import FakeCluster, Killed

NOW = datetime(2025, 1, 1, tzinfo=UTC)
BEFORE = "images: {profiler: p}"
AFTER = BEFORE + "\ndataPlane: {natsUrl: 'nats://n:4222', preStopSeconds: 9}"
IN_TURN = AFTER + "\nrollout: Automatic"
WITHOUT_RIGHTS = BEFORE + "\ndataPlane: {discovery: etcd, etcdEndpoints: 'e:1'}"
REQUEST = "dgdr.dev/upgrade-requested-at"
HASH_WITH_RESTART = "443e02e4ce2339c8"
"""Of the graph below with restart 1, by an operator that took restarts into the hash."""
COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")


class World:
    """An installation with some graphs; ``operator`` is replaced by an upgrade of the chart."""

    def __init__(self, *graphs: str, settings: str = BEFORE) -> None:
        self.cluster = FakeCluster(NOW)
        self.cluster.seed(*installed())
        self.now = NOW
        self.upgrade(settings)
        for name in graphs:
            self.add(name)

    def add(self, name: str, run: str = "", *, is_owned: bool = False) -> None:
        manifest = dgd(frontend(), decode_worker(replicas=2, scalingAdapter={}))
        manifest["metadata"] |= {"name": name, "labels": {"dgdr.dev/run": run} if run else {}}
        if is_owned:
            manifest["metadata"]["ownerReferences"] = [OWNER.to_json()]
            self.cluster.seed(told(None))
        self.cluster.seed(manifest)

    def upgrade(self, settings: str) -> None:
        """Start another operator: its memory is empty, its settings may be others."""
        self.operator = GraphPass(self.cluster, parse(settings))

    async def look(self, name: str = "g") -> float | None:
        self.now += timedelta(seconds=1)
        return await self.operator(Key("ns", name), self.now)

    async def serve(self, *graphs: str) -> None:
        """Be made, become ready, be reported."""
        for name in graphs or ("g",):
            await self.look(name)
            self.become_ready(name)
            await self.look(name)

    def become_ready(self, name: str = "g") -> None:
        for deployment in self.deployments(name).values():
            meta = deployment["metadata"]
            report = dict.fromkeys(COUNTS, deployment["spec"]["replicas"])
            report["observedGeneration"] = meta["generation"]
            self.cluster.set_status(DEPLOYMENT, "ns", meta["name"], report)

    def deployments(self, name: str = "g") -> dict[str, Any]:
        prefix = f"Deployment/ns/{name}-"
        return {k: v for k, v in self.cluster.everything().items() if k.startswith(prefix)}

    def templates(self, name: str = "g") -> dict[str, Any]:
        return {k: v["spec"]["template"] for k, v in self.deployments(name).items()}

    def graph(self, name: str = "g") -> Any:
        return self.cluster.peek(DGD, "ns", name) or {}

    def edit(self, change: dict[str, Any], component: int = 1, name: str = "g") -> None:
        live = self.graph(name)
        live["spec"]["components"][component] |= change
        live["metadata"]["generation"] += 1
        self.cluster.seed(live)

    def ask(self, value: str, name: str = "g") -> None:
        live = self.graph(name)
        live["metadata"]["annotations"] = {REQUEST: value}
        self.cluster.seed(live)

    def said(self, name: str = "g") -> tuple[str, str, str] | None:
        conditions = self.graph(name)["status"]["conditions"]
        told = [c for c in conditions if c["type"] == "UpToDate"]
        return (told[0]["status"], told[0]["reason"], told[0]["message"]) if told else None

    def reason(self, name: str) -> str | None:
        said = self.said(name)
        return said[1] if said else None

    def tells_nats(self, name: str = "g") -> bool:
        return all("nats://n:4222" in json.dumps(t) for t in self.templates(name).values())


@pytest.fixture
async def world() -> World:
    made = World("g")
    await made.serve()
    return made


# -- what moves nothing


async def test_other_settings_replace_no_pod_and_are_said(world: World) -> None:
    before = world.templates()
    world.upgrade(AFTER)
    await world.look()
    assert world.templates() == before
    assert world.graph()["status"]["state"] == "successful"
    status, reason, message = world.said() or ("", "", "")
    assert (status, reason) == ("False", "RenderedEarlier")
    assert message.startswith(
        "pods run as they were made earlier: Frontend, decode: "
        "spec.containers[main].env[NATS_SERVER], "
        "spec.containers[main].lifecycle.preStop.sleep.seconds, "
        "spec.terminationGracePeriodSeconds; set annotation dgdr.dev/upgrade-requested-at"
    )


async def test_a_pass_over_what_is_behind_writes_nothing(world: World) -> None:
    world.upgrade(AFTER)
    await world.look()
    before = len(world.cluster.writes)
    await world.look()
    assert world.cluster.writes[before:] == []


async def test_another_rendering_replaces_no_pod(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A later operator's code stands for itself here: there is no other way to have one.
    before = world.templates()
    monkeypatch.setattr("dgdr_operator.core.pod_template.DRAIN_S", 600)
    await world.look()
    assert world.templates() == before
    assert "spec.terminationGracePeriodSeconds" in (world.said() or ("", "", ""))[2]


async def test_a_scale_replaces_no_pod(world: World) -> None:
    before = world.templates()
    world.upgrade(AFTER)
    world.edit({"replicas": 5})
    await world.look()
    assert world.templates() == before
    assert world.deployments()["Deployment/ns/g-decode"]["spec"]["replicas"] == 5


async def test_a_hand_edit_is_put_right_by_what_was_made(world: World) -> None:
    before = world.templates()
    world.upgrade(AFTER)
    edit = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}
    await world.cluster.patch(DEPLOYMENT, "ns", "g-decode", edit, "kubectl")
    await world.look()
    assert world.templates() == before


async def test_rights_stay_as_long_as_pods_need_them(world: World) -> None:
    world.upgrade(WITHOUT_RIGHTS)
    await world.look()
    assert world.cluster.peek(ROLE_BINDING, "ns", "g-k8s-service-discovery")
    world.ask("now")
    await world.look()
    assert world.cluster.peek(ROLE_BINDING, "ns", "g-k8s-service-discovery") is None


async def test_a_deployment_that_is_deleted_comes_back_beside_its_siblings(world: World) -> None:
    before = world.templates()
    world.upgrade(AFTER)
    await world.cluster.delete(DEPLOYMENT, "ns", "g-decode")
    await world.look()
    assert world.templates() == before, "half a graph with another data plane finds nobody"


async def test_a_restart_makes_pods_again_in_turn_as_they_were(world: World) -> None:
    before = world.templates()
    world.upgrade(AFTER)
    restart(world, "1")
    await world.look()
    assert restarted(world) == ["", "1"]
    assert [without_id(t) for t in world.templates().values()] == [*before.values()]
    for _ in range(2):
        world.become_ready()
        await world.look()
    assert restarted(world) == ["1", "1"]
    assert world.graph()["status"]["restart"]["phase"] == "Completed"
    assert not world.tells_nats()
    assert world.reason("g") == "RenderedEarlier"


async def test_a_hash_of_an_operator_that_took_restarts_into_it_is_taken(world: World) -> None:
    restart(world, "1")
    for live in world.deployments().values():
        live["metadata"]["annotations"]["dgdr.dev/graph-hash"] = HASH_WITH_RESTART
        world.cluster.seed(live)
    before = world.templates()
    generation = world.graph()["metadata"]["generation"]
    world.cluster.set_status(DGD, "ns", "g", {"observedGeneration": generation})
    world.upgrade(AFTER)
    await world.look()
    assert world.templates() == before
    restart(world, "2")
    await world.look()
    assert restarted(world) == ["", "2"]
    assert not world.tells_nats()


def restart(world: World, id_: str) -> None:
    live = world.graph()
    live["spec"]["restart"] = {"id": id_}
    live["metadata"]["generation"] += 1
    world.cluster.seed(live)


def restarted(world: World) -> list[str]:
    found = (t["metadata"].get("annotations") or {} for t in world.templates().values())
    return [annotations.get(RESTARTED_FOR, "") for annotations in found]


def without_id(template: Any) -> Any:
    metadata = copy.deepcopy(template["metadata"])
    metadata.get("annotations", {}).pop(RESTARTED_FOR, None)
    if not metadata.get("annotations"):
        metadata.pop("annotations", None)
    return {**template, "metadata": metadata}


# -- what does


async def test_an_edit_brings_the_whole_graph_up(world: World) -> None:
    world.upgrade(AFTER)
    await world.look()
    world.edit({"sharedMemorySize": "1Gi"})
    await world.look()
    assert world.tells_nats()
    assert world.reason("g") == "Current"


async def test_a_request_is_answered_once(world: World) -> None:
    world.upgrade(AFTER)
    world.ask("monday")
    await world.look()
    assert world.tells_nats()
    assert world.said() is None, "it never was behind"
    assert world.graph()["status"]["lastHandledUpgradeAt"] == "monday"
    assert [event.reason for event in world.cluster.events] == ["PodsUpgraded"]
    before = world.templates()
    world.upgrade(BEFORE)
    await world.look()
    assert world.templates() == before
    assert world.reason("g") == "RenderedEarlier"


async def test_a_request_that_is_refused_stays_open(world: World) -> None:
    world.upgrade(AFTER)
    world.ask("monday")
    world.cluster.refuse("apply", DEPLOYMENT, Rejected(422, "no"))
    await world.look()
    assert "lastHandledUpgradeAt" not in world.graph()["status"]
    assert world.reason("g") == "RenderedEarlier"
    world.cluster.refuse("apply", DEPLOYMENT, None)
    await world.look()
    assert world.graph()["status"]["lastHandledUpgradeAt"] == "monday"
    assert world.tells_nats()


async def test_a_component_that_cannot_be_run_holds_up_no_answer() -> None:
    world = World()
    several = decode_worker(multinode={"nodeCount": 2})
    manifest = dgd(frontend(), several, annotations={REQUEST: "monday"})
    world.cluster.seed(manifest)
    await world.look()
    assert world.graph()["status"]["lastHandledUpgradeAt"] == "monday"


async def test_a_failed_pass_does_not_forget_what_was_answered(world: World) -> None:
    world.ask("monday")
    await world.look()
    live = world.graph()
    live["spec"]["components"][0]["type"] = "wheel"
    world.cluster.seed(live)
    await world.look()
    assert world.graph()["status"]["state"] == "failed"
    assert world.graph()["status"]["lastHandledUpgradeAt"] == "monday"


async def test_a_candidate_is_measured_as_it_was_started() -> None:
    world = World()
    world.add("g", run=OWNER.uid, is_owned=True)
    await world.serve()
    before = world.templates()
    world.upgrade(IN_TURN)
    world.ask("now")
    await world.look()
    assert world.templates() == before
    assert world.reason("g") == "BeingMeasured"


@pytest.mark.parametrize("settings", [AFTER, IN_TURN])
async def test_a_kill_at_any_write_of_an_upgrade_ends_in_the_same(settings: str) -> None:
    for writes in range(6):
        world = World("g")
        await world.serve()
        world.upgrade(settings)
        if settings is AFTER:
            world.ask("now")
        world.cluster.kill_after_writes = writes
        try:
            await world.look()
            await world.look()
        except Killed:
            pass
        world.cluster.kill_after_writes = None
        world.upgrade(settings)
        await world.look()
        world.become_ready()
        await world.look()
        assert world.tells_nats()
        assert world.reason("g") in (None, "Current")


async def test_an_operator_that_looked_too_early_undoes_no_upgrade(world: World) -> None:
    """One that has lost its lease and does not know it yet, or that hears late."""
    owner = world.deployments()["Deployment/ns/g-decode"]["metadata"]["ownerReferences"][0]
    late = ChildWriter(world.cluster, decode(world.graph()), owner)
    seen = await late.observe()
    wanted = copy.deepcopy(seen.of(DEPLOYMENT))
    wanted[0]["spec"]["replicas"] = 7
    world.upgrade(AFTER)
    world.ask("now")
    await world.look()
    with pytest.raises(Conflict, match="modified"):
        await late.write(wanted, seen)
    assert world.tells_nats()


# -- deployments of an operator that kept no record


def forget(world: World) -> None:
    """Make the Deployments look as an earlier operator left them."""
    for live in world.deployments().values():
        kept = ("nvidia.com/last-applied-hash",)
        annotations = live["metadata"]["annotations"]
        live["metadata"]["annotations"] = {k: annotations[k] for k in kept}
        live["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
        world.cluster.seed(live)


async def test_what_an_earlier_operator_made_is_taken_as_it_is(world: World) -> None:
    forget(world)
    before = world.templates()
    world.upgrade(AFTER)
    await world.look()
    assert world.templates() == before
    assert world.reason("g") == "RenderedEarlier"
    world.ask("now")
    await world.look()
    assert world.tells_nats()
    assert world.reason("g") == "Current"


async def test_what_an_earlier_operator_made_alike_is_not_behind(world: World) -> None:
    forget(world)
    await world.look()
    assert world.said() is None


async def test_a_scale_before_the_first_look_is_no_edit(world: World) -> None:
    forget(world)
    before = world.templates()
    world.upgrade(AFTER)
    world.edit({"replicas": 4})
    await world.look()
    assert world.templates() == before


async def test_an_edit_before_the_first_look_is_not_lost(world: World) -> None:
    forget(world)
    changed = decode_worker(main={"image": "dynamo:2"})["podTemplate"]
    world.edit({"podTemplate": changed})
    await world.look()
    image = world.templates()["Deployment/ns/g-decode"]["spec"]["containers"][0]["image"]
    assert image == "dynamo:2"


@pytest.mark.parametrize("bad", ["{", "[]", '{"discovery": "pigeons"}'])
async def test_a_record_that_somebody_spoiled_costs_no_pod(world: World, bad: str) -> None:
    before = world.templates()
    for name in ("dgdr.dev/data-plane", "dgdr.dev/pod-template"):
        spoiled = {"metadata": {"annotations": {name: bad}}}
        await world.cluster.patch(DEPLOYMENT, "ns", "g-decode", spoiled, "kubectl")
    await world.look()
    assert world.templates() == before


# -- in turn


async def served(*names: str) -> World:
    world = World(*names)
    await world.serve(*names)
    world.upgrade(IN_TURN)
    return world


async def test_one_graph_after_the_other() -> None:
    world = await served("a", "b")
    await world.look("a")
    assert await world.look("b") == LOOK_AGAIN_FOR_TURN_S
    assert [world.tells_nats(name) for name in ("a", "b")] == [True, False]
    assert world.reason("a") == "Upgrading"
    said = world.said("b") or ("", "", "")
    assert said[1] == "WaitsForTurn"
    assert "ns/a is being upgraded, so it waits" in said[2]
    world.become_ready("a")
    await world.look("a")
    await world.look("b")
    assert world.tells_nats("b")
    assert world.reason("a") == "Current"


async def test_another_operator_knows_whose_turn_it_is() -> None:
    world = await served("a", "b")
    await world.look("a")
    world.upgrade(IN_TURN)
    await world.look("b")
    assert world.reason("b") == "WaitsForTurn"


async def stuck(world: World, name: str) -> None:
    """Have its turn, and never become ready."""
    await world.look(name)
    assert world.reason(name) == "Upgrading"
    world.cluster.set_status(DEPLOYMENT, "ns", f"{name}-decode", {"observedGeneration": 1})
    await world.look(name)
    world.now += READY_WITHIN
    assert world.reason(name) == "Upgrading"
    await world.look(name)


async def test_a_graph_that_does_not_come_back_loses_its_turn_and_says_so() -> None:
    world = await served("a", "b")
    await stuck(world, "a")
    status, reason, message = world.said("a") or ("", "", "")
    assert (status, reason) == ("False", "UpgradeStuck")
    assert "did not become ready within 60 minutes" in message
    warnings = [e for e in world.cluster.events if e.reason == "UpgradeStuck"]
    assert [(e.about.name, e.severity.value) for e in warnings] == [("a", "Warning")]
    await world.look("b")
    assert world.reason("b") == "Upgrading"
    await world.look("a")
    assert len([e for e in world.cluster.events if e.reason == "UpgradeStuck"]) == 1
    world.become_ready("a")
    await world.look("a")
    assert world.reason("a") == "Current"


async def test_a_graph_whose_new_pods_are_refused_loses_its_turn_and_says_so() -> None:
    world = await served("a", "b")
    world.cluster.refuse("apply", DEPLOYMENT, Rejected(422, "no"))
    await world.look("a")
    assert "pods are to be replaced: " in (world.said("a") or "...")[2]
    assert world.reason("a") == "Upgrading"
    world.now += READY_WITHIN + timedelta(seconds=1)
    await world.look("a")
    status, reason, message = world.said("a") or ("", "", "")
    assert (status, reason) == ("False", "UpgradeRefused")
    assert "what replaces them was refused for 60 minutes" in message
    assert [e.message for e in world.cluster.events if e.reason == "UpgradeRefused"] == [message]
    world.cluster.refuse("apply", DEPLOYMENT, None)
    for _ in range(3):  # the pods are as they were, and up
        await world.look("a")
    assert (world.reason("a"), world.tells_nats("a")) == ("UpgradeRefused", False)
    await world.look("b")
    assert (world.reason("b"), world.tells_nats("b")) == ("Upgrading", True)
    world.ask("again", "a")
    await world.look("a")
    assert (world.reason("a"), world.tells_nats("a")) == ("Current", True)


async def test_a_graph_that_is_ready_again_late_is_upgraded_like_any_other() -> None:
    world = await served("a")
    await stuck(world, "a")
    world.upgrade(IN_TURN.replace("n:4222", "other:4222"))
    world.become_ready("a")
    for _ in range(3):  # that it is ready again is said first
        await world.look("a")
    assert world.reason("a") == "Upgrading"


async def test_an_upgrade_that_breaks_two_breaks_no_third() -> None:
    world = await served("a", "b", "c")
    await stuck(world, "a")
    await stuck(world, "b")
    await world.look("c")
    assert not world.tells_nats("c")
    assert "ns/a and ns/b did not become ready again, so it waits" in (world.said("c") or "...")[2]
    world.become_ready("a")
    await world.look("a")
    await world.look("c")
    assert world.reason("c") == "Upgrading"


async def test_the_time_to_become_ready_counts_from_the_turn() -> None:
    """Not from a time before it, in which the graph was not ready either."""
    world = await served("a")
    world.cluster.set_status(DEPLOYMENT, "ns", "a-decode", {"observedGeneration": 1})
    await world.look("a")
    world.now += 2 * READY_WITHIN
    world.become_ready("a")
    await world.look("a")
    assert not world.tells_nats("a")  # that it is ready again is said first
    await world.look("a")
    assert world.reason("a") == "Upgrading"
    await world.look("a")
    assert world.reason("a") == "Upgrading"


async def test_two_that_ask_at_once_do_not_both_have_the_turn() -> None:
    world = await served("a", "b")
    world.cluster.__class__ = CountingCluster  # whose answers take a moment
    await asyncio.gather(world.look("a"), world.look("b"))
    assert sorted(world.reason(name) or "" for name in "ab") == ["Upgrading", "WaitsForTurn"]


async def test_a_turn_that_could_not_be_announced_is_nobodys() -> None:
    world = await served("a", "b")
    world.cluster.refuse("patch_status", DGD, Conflict("modified"))
    with pytest.raises(Conflict):
        await world.look("a")
    world.cluster.refuse("patch_status", DGD, None)
    live = world.graph("a")
    live["spec"]["components"][0]["type"] = "wheel"  # and its passes end before the question
    world.cluster.seed(live)
    await world.look("a")
    await world.look("b")
    assert world.reason("b") == "Upgrading"


async def test_a_graph_that_is_gone_holds_up_nobody() -> None:
    world = await served("a", "b")
    await world.look("a")
    await world.cluster.delete(DGD, "ns", "a")
    await world.look("a")
    await world.look("b")
    assert world.tells_nats("b")


async def test_a_graph_that_is_not_ready_is_not_touched() -> None:
    world = await served("a")
    world.cluster.set_status(DEPLOYMENT, "ns", "a-decode", {"observedGeneration": 1})
    await world.look("a")
    assert not world.tells_nats("a")
    assert "only a ready one is upgraded" in (world.said("a") or ("", "", ""))[2]


async def test_a_graph_waits_while_candidates_are_measured_beside_it() -> None:
    world = await served("a")
    world.add("r-tp1", run=OWNER.uid, is_owned=True)
    await world.look("a")
    assert world.reason("a") == "BeingMeasured"
    await world.cluster.delete(DGD, "ns", "r-tp1")
    await world.look("a")
    assert world.tells_nats("a")


async def test_a_copy_of_a_candidate_is_a_deployment_like_any_other() -> None:
    world = World()
    world.add("g", run=OWNER.uid)
    await world.serve()
    world.upgrade(IN_TURN)
    await world.look()
    assert world.tells_nats()


# -- what the hash is of


def test_the_hash_is_the_same_for_every_operator_to_come() -> None:
    manifest = dgd(frontend(), decode_worker(replicas=2))
    assert graph_hash(manifest) == "785fb5a1fc5cc920"
    scaled = copy.deepcopy(manifest)
    scaled["spec"]["components"][1] |= {"replicas": 9, "scalingAdapter": {}}
    assert graph_hash(scaled) == graph_hash(manifest)
    quiet = copy.deepcopy(manifest)
    quiet["metadata"]["annotations"] = {"nvidia.com/enable-metrics": "false"}
    assert graph_hash(quiet) != graph_hash(manifest)
