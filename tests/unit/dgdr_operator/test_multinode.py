"""One engine over several nodes: programs, workload, status, and what a pass does with it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dgdr_api.names import Label
from dgdr_kube.errors import Conflict, Rejected
from dgdr_kube.kinds import CRD, DEPLOYMENT, DGD, DGDSA, LEADER_WORKER_SET, SERVICE
from dgdr_kube.ports import Key
from dgdr_operator.core.data_plane import DataPlane
from dgdr_operator.core.multinode import Program, Programs, programs_of
from dgdr_operator.core.restart import RESTARTED_FOR
from dgdr_operator.core.workloads import render_workloads
from dgdr_operator.passes.adapter_pass import AdapterPass
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.settings import parse
from support.crds import installed
from support.dgds import OWNER, decode_worker, dgd, frontend, graph
from support.fake_cluster import FakeCluster
from support.leader_worker_set import report, stand_in

NOW = datetime(2025, 1, 1, tzinfo=UTC)
SETTINGS = parse("images: {profiler: p}")
GROUPS = DataPlane(groups=True)
LEADER, INDEX = "$(LWS_LEADER_ADDRESS)", "$(LWS_WORKER_INDEX)"
VLLM = ("python3", "-m", "dynamo.vllm")


def engine(*args: str, command: Any = VLLM, gpus: int = 8, nodes: int = 2, **more: Any) -> Any:
    main = {
        "command": [*command],
        "args": [*args],
        "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
    }
    return decode_worker(main=main, multinode={"nodeCount": nodes}, **more)


def programs(*args: str, **kwargs: Any) -> Programs:
    of = graph(engine(*args, **kwargs))
    found = programs_of(of, of.components[0])
    assert isinstance(found, Programs), found
    return found


def test_ranks_of_vllm_over_nodes_meet_at_the_leader() -> None:
    found = programs("--model", "m", "--tensor-parallel-size", "16")
    meet = (
        *("--model", "m", "--tensor-parallel-size", "16"),
        *("--distributed-executor-backend", "mp", "--nnodes", "2"),
        *("--master-addr", LEADER, "--master-port", "29500", "--node-rank"),
    )
    assert found.leader == Program(VLLM, (*meet, "0"))
    assert found.worker == Program(VLLM, (*meet, INDEX, "--headless"))


def test_data_parallel_ranks_of_vllm_are_numbered_by_node() -> None:
    found = programs("--data-parallel-size", "16", "--model", "it's")
    flags = ("--data-parallel-hybrid-lb", "--data-parallel-size-local", "8")
    assert found.leader.args[4:] == (
        *(*flags, "--data-parallel-start-rank", "0"),
        *("--data-parallel-address", LEADER, "--data-parallel-rpc-port", "13445"),
    )
    assert found.worker.command == ("sh", "-c")
    (script,) = found.worker.args
    assert script == (
        f"exec python3 -m dynamo.vllm {' '.join(flags)} --data-parallel-start-rank "
        f"$((8 * LWS_WORKER_INDEX)) --data-parallel-address {LEADER} --data-parallel-rpc-port 13445"
        """ --data-parallel-size 16 --model 'it'"'"'s'"""
    )


@pytest.mark.parametrize(
    ("tp", "local"),
    [("1", "8"), ("2", "4"), ("8", "1"), ("9" * 4301, "8")],
    ids=lambda text: text[:3],
)
def test_a_node_holds_as_many_ranks_as_it_has_gpus_for(tp: str, local: str) -> None:
    args = programs(f"--tensor-parallel-size={tp}", "--data-parallel-size", "4").leader.args
    assert args[args.index("--data-parallel-size-local") + 1] == local


@pytest.mark.parametrize("flag", ["-c", "-lc", "-ec"])
def test_flags_go_behind_the_engine_in_a_script(flag: str) -> None:
    script = "ulimit -n 9; exec python3 -m dynamo.vllm --model m \\\n -tp 16 && echo done"
    found = programs(script, command=("/bin/bash", flag))
    assert found.leader.command == ("/bin/bash", flag)
    assert found.leader.args[0].startswith(
        "ulimit -n 9; exec python3 -m dynamo.vllm --distributed-executor-backend mp --nnodes 2"
    )
    assert found.worker.args[0].endswith("--headless --model m \\\n -tp 16 && echo done")


def test_a_comment_of_a_script_starts_no_engine() -> None:
    script = "# dynamo.vllm would fail\n  # dynamo.vllm\nexec python3 -m dynamo.vllm -tp 16"
    (found,) = programs(script, command=("sh", "-c")).leader.args
    comments, start = "# dynamo.vllm would fail\n  # dynamo.vllm\n", "exec python3 -m dynamo.vllm "
    assert found.startswith(f"{comments}{start}--distributed-executor-backend mp")
    assert found.endswith(" -tp 16")


def test_a_script_may_stand_in_the_command() -> None:
    found = programs(command=("/bin/bash", "-c", "python3 -m dynamo.vllm --model m -tp 16"))
    flags = "--distributed-executor-backend mp --nnodes 2"
    assert found.leader.args == found.worker.args == ()
    assert found.leader.command[2].startswith(f"python3 -m dynamo.vllm {flags}")
    assert found.worker.command[2].endswith("--headless --model m -tp 16")


def test_what_stands_behind_a_script_stays_there() -> None:
    found = programs("python3 -m dynamo.vllm $0", "-x", command=("sh", "-c"))
    assert found.leader.args[0].endswith("--node-rank 0 $0")
    assert found.leader.args[1] == "-x"


def test_gpus_of_another_maker_are_counted() -> None:
    component = engine("-dp", "16")
    main = component["podTemplate"]["spec"]["containers"][0]
    main["resources"] = {"limits": {"amd.com/gpu": "8"}}
    of = graph(component)
    found = programs_of(of, of.components[0])
    assert isinstance(found, Programs)
    args = found.leader.args
    assert args[args.index("--data-parallel-size-local") + 1] == "8"


def test_gpus_that_nobody_can_count_are_not_guessed() -> None:
    claim = {"resourceClaims": [{"name": "gpus", "resourceClaimName": "c"}]}
    component = engine("-dp", "16", gpus=0)
    component["podTemplate"]["spec"] |= claim
    of = graph(component)
    found = programs_of(of, of.components[0])
    assert isinstance(found, str)
    assert "resourceClaims[gpus]" in found


def test_a_claim_beside_gpus_of_a_device_plug_in_is_for_something_else() -> None:
    component = engine("-dp", "16")
    claim = {"name": "channel", "resourceClaimTemplateName": "compute-domain"}
    component["podTemplate"]["spec"]["resourceClaims"] = [claim]
    of = graph(component)
    found = programs_of(of, of.components[0])
    assert isinstance(found, Programs)
    args = found.leader.args
    assert args[args.index("--data-parallel-size-local") + 1] == "8"


@pytest.mark.parametrize(
    ("args", "command", "text"),
    [
        (["vllm serve m"], ["bash", "-c"], "names no dynamo.vllm"),
        (["--model", "m", "-dp", "16"], [], "say it in command"),
    ],
)
def test_a_program_that_no_flag_can_be_given_is_named(
    args: list[str], command: list[str], text: str
) -> None:
    of = graph(engine(*args, command=command), backendFramework="vllm")
    found = programs_of(of, of.components[0])
    assert isinstance(found, str)
    assert text in found


def test_sglang_meets_at_one_address() -> None:
    command = ("python3", "-m", "dynamo.sglang")
    found = programs("--tp", "16", command=command, nodes=4)
    meet = ("--tp", "16", "--dist-init-addr", f"{LEADER}:29500", "--nnodes", "4", "--node-rank")
    assert (found.leader.args, found.worker.args) == ((*meet, "0"), (*meet, INDEX))


def test_a_program_of_ones_own_runs_as_it_is_written() -> None:
    found = programs("--x", command=("own",))
    assert found.leader == found.worker == Program(("own",), ("--x",))


@pytest.mark.parametrize(
    ("component", "text"),
    [
        (engine("--x", command=("python3", "-m", "dynamo.trtllm")), "mpirun over SSH"),
        (decode_worker(multinode={"nodeCount": 2}), "needs its command and args"),
    ],
)
def test_what_cannot_run_over_nodes_is_named(component: Any, text: str) -> None:
    found = render_workloads(graph(component), OWNER, GROUPS)
    assert text in str(found.problems[0])


def test_without_leader_worker_set_the_cure_is_named() -> None:
    found = render_workloads(graph(engine()), OWNER, DataPlane())
    assert "install it (https://lws.sigs.k8s.io)" in str(found.problems[0])


@pytest.mark.parametrize(("chars", "is_cut"), [(48, False), (49, True), (63, True)])
def test_a_name_that_no_label_of_a_group_holds_is_cut(chars: int, is_cut: bool) -> None:
    made = rendered(engine("--x") | {"name": "d" * (chars - len("g-"))})
    name = made["LeaderWorkerSet"]["metadata"]["name"].removesuffix("-0")
    whole = made["Service"]["metadata"]["name"]
    assert len(whole) == chars
    assert (len(name), name != whole) == (48, is_cut)
    assert name[:39] == whole[:39]


@pytest.mark.parametrize("other", [decode_worker(), engine("--x")], ids=["pod", "group"])
def test_no_component_has_the_name_of_a_groups_own_service(other: dict[str, Any]) -> None:
    found = render_workloads(graph(engine("--x"), other | {"name": "decode-0"}), OWNER, GROUPS)
    assert str(found.problems[0]).startswith("decode-0: its workload would be named like that of")
    assert found.problems[1:] == ()


def test_names_that_are_cut_still_differ() -> None:
    names = {
        rendered(engine("--x") | {"name": "d" * 50 + end})["LeaderWorkerSet"]["metadata"]["name"]
        for end in "ab"
    }
    assert len(names) == 2


def rendered(component: Any) -> dict[str, Any]:
    made = render_workloads(graph(component), OWNER, GROUPS).manifests
    return {manifest["kind"]: manifest for manifest in made}


def test_a_group_is_a_leader_and_its_followers() -> None:
    made = rendered(engine("--model", "m", replicas=3))
    assert "Deployment" not in made
    workload = made["LeaderWorkerSet"]
    # LeaderWorkerSet makes a Service of its own name.
    assert workload["metadata"]["name"] == "g-decode-0"
    spec = workload["spec"]
    assert (spec["replicas"], spec["startupPolicy"]) == (3, "LeaderCreated")
    group = spec["leaderWorkerTemplate"]
    assert (group["size"], group["restartPolicy"]) == (2, "RecreateGroupOnPodRestart")
    leader, worker = group["leaderTemplate"], group["workerTemplate"]
    assert leader["metadata"]["labels"]["role"] == "leader"
    assert worker["metadata"]["labels"]["role"] == "worker"
    assert made["Service"]["spec"]["selector"] == {
        "nvidia.com/selector": "g-decode",
        "role": "leader",
    }
    mains = [template["spec"]["containers"][0] for template in (leader, worker)]
    assert ["startupProbe" in main for main in mains] == [True, False]
    for main in mains:
        host = next(e for e in main["env"] if e["name"] == "VLLM_NIXL_SIDE_CHANNEL_HOST")
        assert host["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIP"
        assert main["resources"]["limits"]["nvidia.com/gpu"] == "8"


# -- passes


@pytest.fixture
def cluster() -> FakeCluster:
    fake = FakeCluster(NOW)
    fake.seed(dgd(frontend(), engine("--x", replicas=2, scalingAdapter={})), *installed())
    fake.seed(stand_in())
    return fake


async def run(cluster: FakeCluster) -> float | None:
    return await GraphPass(cluster, SETTINGS)(Key("ns", "g"), NOW)


def group(cluster: FakeCluster) -> Any:
    return cluster.peek(LEADER_WORKER_SET, "ns", "g-decode-0")


def status(cluster: FakeCluster) -> Any:
    return (cluster.peek(DGD, "ns", "g") or {})["status"]


def groups_are(cluster: FakeCluster, ready: int) -> None:
    group_reports(cluster, report(2, 2, ready))


def group_reports(cluster: FakeCluster, status: dict[str, Any]) -> None:
    cluster.set_status(LEADER_WORKER_SET, "ns", "g-decode-0", status)
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    done = {**dict.fromkeys(counts, 1), "observedGeneration": 1}
    cluster.set_status(DEPLOYMENT, "ns", "g-frontend", done)


async def test_a_graph_is_ready_when_its_groups_are(cluster: FakeCluster) -> None:
    await run(cluster)
    assert "decode: no LeaderWorkerSet" not in status(cluster)["conditions"][0]["message"]
    groups_are(cluster, 1)
    await run(cluster)
    ready = status(cluster)["conditions"][0]
    assert ready["message"].startswith("decode: 1 of 2 groups of 2 pods")
    groups_are(cluster, 2)
    assert await run(cluster) == 60.0
    assert status(cluster)["state"] == "successful"
    component = status(cluster)["components"]["decode"]
    assert component["componentKind"] == "LeaderWorkerSet"
    assert component["componentNames"] == ["g-decode-0"]
    assert "availableReplicas" not in component
    assert (component["readyReplicas"], component["gpusPerReplica"]) == (2, 16)


@pytest.mark.parametrize(
    ("status_of_group", "reason", "message"),
    [
        pytest.param(
            report(0, 0, 0, generation=1),
            "some_resources_are_not_ready",
            "decode: 0 of 2 groups of 2 pods, each of which starts again as a whole, are ready",
            id="the first ones start",
        ),
        pytest.param(
            report(2, 0, 2, rolls=True, generation=1),
            "updating",
            "decode: 2 of 2 groups of 2 pods are ready, 0 updated",
            id="an edit: none is new yet",
        ),
        pytest.param(
            report(2, 2, 1, rolls=True, generation=1),
            "updating",
            "decode: 1 of 2 groups of 2 pods are ready, 2 updated",
            id="an edit: the last one starts",
        ),
        # A group whose followers are gone is none of the updated ones, although nothing is updated.
        pytest.param(
            report(2, 1, 1, generation=1),
            "some_resources_are_not_ready",
            "decode: 1 of 2 groups of 2 pods, each of which starts again as a whole, are ready",
            id="a pod was killed",
        ),
        pytest.param(
            report(3, 3, 3, generation=1),
            "some_resources_are_not_ready",
            "decode: 2 of 2 groups of 2 pods, each of which starts again as a whole, are ready",
            id="one too many is going",
        ),
    ],
)
async def test_what_groups_report_is_told(
    cluster: FakeCluster, status_of_group: dict[str, Any], reason: str, message: str
) -> None:
    await run(cluster)
    groups_are(cluster, 2)
    group_reports(cluster, status_of_group)
    await run(cluster)
    ready = status(cluster)["conditions"][0]
    assert (ready["reason"], ready["message"]) == (reason, message)


async def test_groups_that_run_are_looked_at_soon_for_their_report(cluster: FakeCluster) -> None:
    await run(cluster)
    groups_are(cluster, 1)
    assert await run(cluster) == 15.0
    for index in range(4):
        cluster.seed(group_pod(index))
    assert await run(cluster) == 1.0
    groups_are(cluster, 2)
    assert await run(cluster) == 60.0


async def test_a_pass_over_groups_settles(cluster: FakeCluster) -> None:
    await run(cluster)
    groups_are(cluster, 2)
    await run(cluster)
    before = len(cluster.writes)
    await run(cluster)
    assert cluster.writes[before:] == []


async def test_an_adapter_scales_groups(cluster: FakeCluster) -> None:
    await run(cluster)
    groups_are(cluster, 2)
    await run(cluster)
    await cluster.scale(DGDSA, "ns", "g-decode", 3, "dgdr-planner")
    await AdapterPass(cluster, SETTINGS)(Key("ns", "g-decode"), NOW)
    await run(cluster)
    assert group(cluster)["spec"]["replicas"] == 3
    adapter = cluster.peek(DGDSA, "ns", "g-decode") or {}
    assert adapter["status"]["replicas"] == 2


async def test_an_engine_that_needs_no_more_nodes_loses_its_group(cluster: FakeCluster) -> None:
    await run(cluster)
    live = cluster.peek(DGD, "ns", "g") or {}
    live["spec"]["components"] = [frontend(), decode_worker()]
    live["metadata"]["generation"] += 1
    cluster.seed(live)
    await run(cluster)
    assert group(cluster) is None
    assert cluster.peek(DEPLOYMENT, "ns", "g-decode") is not None


def group_pod(index: int, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    labels = {Label.GRAPH.value: "g", Label.COMPONENT.value: "decode"}
    meta = {"name": f"p{index}", "namespace": "ns", "labels": labels, "annotations": annotations}
    runs = {"containerStatuses": [{"name": "main", "ready": True}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {}, "status": runs}


async def test_the_next_waits_until_the_pods_of_a_group_are_other_ones(
    cluster: FakeCluster,
) -> None:
    await run(cluster)
    groups_are(cluster, 2)
    await run(cluster)
    live = cluster.peek(DGD, "ns", "g") or {}
    live["spec"]["restart"] = {"id": "1", "strategy": {"order": ["decode"]}}
    live["metadata"]["generation"] += 1
    cluster.seed(live)
    for _ in range(2):  # the report of the group is still that from before
        await run(cluster)
        assert status(cluster)["restart"]["inProgress"] == ["decode"]
    for index in range(4):
        cluster.seed(group_pod(index, {RESTARTED_FOR: "1"}))
    await run(cluster)
    assert status(cluster)["restart"]["inProgress"] == ["Frontend"]


def take_one_node(cluster: FakeCluster) -> None:
    live = cluster.peek(DGD, "ns", "g") or {}
    live["spec"]["components"] = [frontend(), decode_worker()]
    live["metadata"]["generation"] += 1
    cluster.seed(live)


@pytest.mark.parametrize("is_killed", [False, True])
async def test_a_group_that_no_status_tells_of_goes_too(
    cluster: FakeCluster, is_killed: bool
) -> None:
    operator = GraphPass(cluster, SETTINGS)
    cluster.refuse("patch_status", DGD, Conflict("modified"))
    with pytest.raises(Conflict):
        await operator(Key("ns", "g"), NOW)
    cluster.refuse("patch_status", DGD, None)
    assert group(cluster) is not None
    take_one_node(cluster)
    await (GraphPass(cluster, SETTINGS) if is_killed else operator)(Key("ns", "g"), NOW)
    assert group(cluster) is None


async def test_a_group_outlives_the_right_to_know_of_its_kind(cluster: FakeCluster) -> None:
    await run(cluster)
    cluster.refuse("get", CRD, Rejected(403, "no"))
    with pytest.raises(Rejected):
        await run(cluster)
    assert group(cluster) is not None
    assert cluster.peek(SERVICE, "ns", "g-decode") is not None


async def test_graphs_without_groups_share_what_they_ask_of_the_kind() -> None:
    fake = FakeCluster(NOW)
    fake.seed(dgd(frontend()), *installed(), stand_in())
    operator = GraphPass(fake, SETTINGS)
    await operator(Key("ns", "g"), NOW)
    fake.refuse("list", LEADER_WORKER_SET, AssertionError("asked again"))
    await operator(Key("ns", "g"), NOW)


async def test_a_cluster_without_the_kind_is_never_asked_for_it() -> None:
    fake = FakeCluster(NOW)
    fake.seed(dgd(frontend(), engine("--x")), *installed())
    await run(fake)
    assert not [call for call in fake.calls if call[1] == LEADER_WORKER_SET]
    assert "needs LeaderWorkerSet" in status(fake)["conditions"][0]["message"]
