"""Graphs of engines against goldens; ``UPDATE_GOLDENS=1 pytest`` writes them anew."""

import json
from collections.abc import Mapping as MappingOf
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.codec_v1beta1 import decode, encode
from dgdr_api.effective import EffectiveModelCache
from dgdr_api.graph import Graph, Role
from dgdr_api.releases import Release
from dgdr_profiler.core.engine import Engine
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.room import Room
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.engines.base import parts_of
from dgdr_profiler.engines.sglang import Sglang
from dgdr_profiler.engines.source import ModelSource
from dgdr_profiler.engines.trtllm import Trtllm
from dgdr_profiler.engines.vllm import Vllm
from support.engines import (
    MAPPINGS,
    OVER_TWO_NODES,
    TP2,
    check,
    check_v1alpha1,
    engine_of,
    shapes,
)
from support.model_configs import model

MOE = ModelSource(model="org/moe")
FOLDER = EffectiveModelCache(
    pvc_name="weights", mount_path="/opt/model-cache", model_path="/opt/model-cache/qwen"
)
HUB = EffectiveModelCache(pvc_name="weights", mount_path="/opt/model-cache", model_path=None)
IMAGES = {
    Vllm: "images.test/vllm-runtime:1.6.1",
    Sglang: "images.test/sglang-runtime:1.6.1",
    Trtllm: "images.test/tensorrtllm-runtime:1.6.1",
}
ENGINES: MappingOf[str, Engine] = {
    kind.__name__.lower(): kind(image=image, source=MOE) for kind, image in IMAGES.items()
}
PAIR = Shape.pair(TP2)


def with_args(graph: Graph, *args: str, name: str = "decode") -> Graph:
    worker = engine_of(graph, name)
    return graph.with_component(worker.with_(args=(*worker.args, *args)))


@pytest.mark.parametrize("mode", ["agg", "pair", "prefill", "decode"])
@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda mapping: mapping.id)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_graph_of_an_engine(engine: str, mapping: Mapping, mode: str) -> None:
    graph = ENGINES[engine].template("q-c", shapes(mapping)[mode])
    check(graph, f"{engine}/{mode}-{mapping.id}")


@pytest.mark.parametrize("mode", ["agg", "pair", "prefill", "decode"])
@pytest.mark.parametrize("mapping", [TP2, OVER_TWO_NODES], ids=lambda mapping: mapping.id)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_graph_of_an_engine_in_v1alpha1(engine: str, mapping: Mapping, mode: str) -> None:
    graph = ENGINES[engine].template("q-c", shapes(mapping)[mode])
    check_v1alpha1(graph, f"{engine}/{mode}-{mapping.id}")


@pytest.mark.parametrize(("cache", "name"), [(FOLDER, "folder"), (HUB, "hub-cache")])
def test_a_claim_in_v1alpha1(cache: EffectiveModelCache, name: str) -> None:
    source = ModelSource(model="Qwen/Qwen3-8B", cache=cache)
    graph = Vllm(image=IMAGES[Vllm], source=source).template("q-c", PAIR)
    check_v1alpha1(graph, f"vllm/pair-tp2-{name}")


@pytest.mark.parametrize("release", [Release(0, 9), Release(1, 0), Release(1, 1)])
@pytest.mark.parametrize("kind", IMAGES, ids=lambda kind: kind.__name__.lower())
def test_the_pair_of_an_older_release(kind: Any, release: Release) -> None:
    engine = kind(image=IMAGES[kind], source=MOE, release=release)
    name = f"{kind.__name__.lower()}/pair-tp2-release-{release.major}.{release.minor}"
    check(engine.template("q-c", PAIR), name)


@pytest.mark.parametrize(("cache", "name"), [(FOLDER, "folder"), (HUB, "hub-cache")])
@pytest.mark.parametrize("kind", IMAGES, ids=lambda kind: kind.__name__.lower())
def test_the_pair_with_a_claim(kind: Any, cache: EffectiveModelCache, name: str) -> None:
    source = ModelSource(model="Qwen/Qwen3-8B", cache=cache, trust_remote_code=True)
    engine = kind(image=IMAGES[kind], source=source)
    check(engine.template("q-c", PAIR), f"{kind.__name__.lower()}/pair-tp2-{name}")


def test_a_claim_without_a_folder_is_the_hubs_cache_and_the_model_keeps_its_name() -> None:
    source = ModelSource(model="org/model-8b", cache=HUB)
    graph = Vllm(image="i", source=source).template("q", PAIR)
    for component in graph.components:
        assert component.env == ({"name": "HF_HOME", "value": "/opt/model-cache"},)
        assert component.volume_mounts[0]["mountPath"] == "/opt/model-cache"
    args = engine_of(graph).args
    assert args[:2] == ("--model", "org/model-8b")
    assert "--served-model-name" not in args
    assert engine_of(graph, "frontend").args == ()


def test_keys_and_values_are_sent_and_fetched() -> None:
    graph = ENGINES["vllm"].template("q", PAIR)
    for name, role in (("prefill", "kv_producer"), ("decode", "kv_consumer")):
        args = engine_of(graph, name).args
        config = args[args.index("--kv-transfer-config") + 1]
        assert config == f'{{"kv_connector":"NixlConnector","kv_role":"{role}"}}'


@pytest.mark.parametrize(
    "own",
    [
        ("--kv-transfer-config", '{"kv_connector": "NixlConnector", "kv_role": "kv_both"}'),
        ("--kv_transfer_config={}",),
        ("--kv-transfer-config.kv_role", "kv_both"),
    ],
)
def test_a_users_own_transfer_stays(own: tuple[str, ...]) -> None:
    graph = ENGINES["vllm"].template("q", PAIR)
    bare = engine_of(graph).with_(args=own)
    args = engine_of(ENGINES["vllm"].with_shape(graph.with_component(bare), PAIR)).args
    assert args[: len(own)] == own
    assert sum("kv-transfer-config" in item.replace("_", "-") for item in args) == 1


EVENTS = "--kv-events-config"
ROUTED = {
    kind.__name__.lower(): kind(image=image, source=MOE, kv_router=True)
    for kind, image in IMAGES.items()
}


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_engines_that_compute_prompts_tell_the_router_what_they_have_cached(engine: str) -> None:
    told = {
        (mode, worker.name)
        for mode, shape in shapes(TP2).items()
        for worker in ROUTED[engine].template("q", shape).components
        if EVENTS in worker.args
    }
    assert told == {("agg", "worker"), ("pair", "prefill")}


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_events_leave_the_pod_at_a_port_that_nothing_else_of_it_has(engine: str) -> None:
    ranks = Mapping.data_expert(16)
    args = engine_of(ROUTED[engine].template("q", Shape.pair(ranks)), "prefill").args
    config = json.loads(args[args.index(EVENTS) + 1])
    assert config["publisher"] == "zmq"
    assert config.get("enable_kv_cache_events", engine == "sglang")
    # Each attention rank has the next port.
    first = int(config["endpoint"].removeprefix("tcp://*:"))
    others = {8000, 9090, 5600, 12345, 20097}
    assert not others & set(range(first, first + ranks.ranks))


@pytest.mark.parametrize("name", ["gpt-oss-20b", "nemotron-3-nano-30b"])
def test_vllm_publishes_no_events_of_layers_that_it_could_not_share_blocks_among(name: str) -> None:
    engine = replace(ROUTED["vllm"], room=Room(facts=model(name)), release=Release(1, 1))
    graph = engine.template("q", PAIR)
    assert not engine.publishes_kv_events
    assert not any(EVENTS in worker.args for worker in graph.components)
    assert "the router predicts" in engine.notes(graph, PAIR)[0]
    newer = replace(engine, release=Release(1, 5))
    assert newer.publishes_kv_events
    assert newer.notes(graph, PAIR) == ()


def test_old_vllm_publishes_events_only_of_a_model_that_is_known_to_be_alike() -> None:
    old = replace(ROUTED["vllm"], release=Release(1, 1))
    assert not old.publishes_kv_events
    assert replace(old, room=Room(facts=model("llama-3.1-8b"))).publishes_kv_events


@pytest.mark.parametrize(
    ("engine", "own"),
    [
        ("vllm", (EVENTS, '{"enable_kv_cache_events": false}')),
        ("vllm", (f"{EVENTS}.publisher", "null")),
        ("sglang", (f"{EVENTS}={{}}",)),
    ],
)
def test_a_users_own_events_stay(engine: str, own: tuple[str, ...]) -> None:
    graph = ROUTED[engine].template("q", PAIR)
    bare = engine_of(graph, "prefill").with_(args=own)
    args = engine_of(ROUTED[engine].with_shape(graph.with_component(bare), PAIR), "prefill").args
    assert args[: len(own)] == own
    assert sum(item.startswith(EVENTS) for item in args) == 1


@pytest.mark.parametrize(
    ("engine", "own", "gpus"),
    [
        pytest.param("vllm", ("--data-parallel-size", "8"), 16, id="vllm ranks"),
        pytest.param("vllm", ("-dp=4", "-pp", "2"), 16, id="vllm aliases"),
        pytest.param("sglang", ("--dp", "8"), 16, id="sglang ranks"),
        pytest.param("sglang", ("--dp", "2", "--enable-dp-attention"), 2, id="sglang attention"),
        pytest.param("trtllm", ("--pipeline-parallel-size", "2"), 4, id="trtllm stages"),
        pytest.param("trtllm", ("--trtllm.pipeline_parallel_size", "2"), 4, id="trtllm option"),
    ],
)
def test_degrees_that_a_shape_leaves_to_the_user_count(
    engine: str, own: tuple[str, ...], gpus: int
) -> None:
    graph = with_args(ENGINES[engine].template("q", PAIR), *own)
    changed = ENGINES[engine].with_shape(graph, PAIR)
    assert engine_of(changed).gpus == gpus
    assert engine_of(changed, "prefill").gpus == 2


def test_a_users_nodes_share_the_gpus() -> None:
    graph = with_args(ENGINES["vllm"].template("q", PAIR), "--data-parallel-size", "8")
    graph = graph.with_component(engine_of(graph).with_(nodes=2))
    worker = engine_of(ENGINES["vllm"].with_shape(graph, PAIR))
    assert (worker.nodes, worker.gpus) == (2, 8)


@pytest.mark.parametrize(
    ("engine", "own"),
    [
        ("vllm", ("-tp", "8", "--tensor-parallel-size=16")),
        ("vllm", ("--tensor_parallel_size", "8")),
        ("sglang", ("--tp", "8", "--tensor-parallel-size=16")),
        ("trtllm", ("--tensor-parallel-size", "8", "--trtllm.tensor_parallel_size", "4")),
    ],
)
def test_a_users_own_degree_is_replaced_in_every_spelling(
    engine: str, own: tuple[str, ...]
) -> None:
    graph = ENGINES[engine].template("q", PAIR)
    changed = ENGINES[engine].with_shape(with_args(graph, *own, "--seed", "1"), PAIR)
    assert engine_of(changed).args == (*engine_of(graph).args, "--seed", "1")
    assert engine_of(changed).gpus == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_an_override_that_replaces_all_arguments_keeps_the_engine_going(engine: str) -> None:
    graph = ENGINES[engine].template("q", PAIR)
    bare = graph.with_component(engine_of(graph).with_(args=("--seed", "1")))
    changed = engine_of(ENGINES[engine].with_shape(bare, PAIR))
    assert changed.args == ("--seed", "1", *engine_of(graph).args)


@pytest.mark.parametrize(
    ("mapping", "on"), [(Mapping.data_expert(8), True), (Mapping.tensor_expert(8), False)]
)
def test_only_attention_ranks_need_a_shared_output_layer(mapping: Mapping, on: bool) -> None:
    args = engine_of(ENGINES["sglang"].template("q", Shape(prefill=mapping)), "prefill").args
    assert ("--enable-dp-lm-head" in args) is on
    assert args.count("--enable-dp-lm-head") == int(on)


def test_repeated_prompts_meet_the_rank_that_has_them() -> None:
    def balance(shape: Shape) -> tuple[str, ...]:
        args = engine_of(ENGINES["sglang"].template("q", shape)).args
        return (
            args[args.index("--load-balance-method") :][:2]
            if "--load-balance-method" in args
            else ()
        )

    assert balance(Shape(decode=Mapping.data_expert(8))) == ("--load-balance-method", "round_robin")
    assert balance(Shape(decode=Mapping.tensor_expert(8))) == ()
    assert balance(Shape.pair(Mapping.data_expert(8))) == ()


def test_every_attention_rank_may_have_a_request() -> None:
    shape = Shape(decode=Mapping.data_expert(8))
    graph = with_args(ENGINES["sglang"].template("q", shape), "--max-running-requests", "3")
    args = engine_of(ENGINES["sglang"].with_shape(graph, shape)).args
    assert args[args.index("--max-running-requests") + 1] == "8"


@pytest.mark.parametrize(
    ("release", "written"),
    [
        (Release(1, 0), ("--cuda-graph-bs", "1", "2", "--cuda-graph-max-bs=4")),
        (Release(1, 6), ("--cuda-graph-bs-decode", "1", "2", "--cuda-graph-max-bs-decode=4")),
    ],
)
def test_sizes_of_cuda_graphs_have_the_releases_names(
    release: Release, written: tuple[str, ...]
) -> None:
    engine = Sglang(image="i", source=MOE, release=release)
    own = ("--cuda-graph-bs", "1", "2", "--cuda-graph-max-bs=4")
    graph = with_args(engine.template("q", PAIR), *own)
    assert engine_of(engine.with_shape(graph, PAIR)).args[-4:] == written


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_of_its_own_is_an_ordinary_worker_under_its_name_in_a_pair(engine: str) -> None:
    for name in ("prefill", "decode"):
        graph = ENGINES[engine].template("q", shapes(TP2)[name])
        (worker,) = graph.with_role(Role.WORKER)
        assert worker.name == name
        assert "--disaggregation-mode" not in worker.args


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_of_a_shell_is_edited_like_a_list(engine: str) -> None:
    graph = ENGINES[engine].template("q", PAIR)
    worker = engine_of(graph)
    script = f"exec python3 -m dynamo.{engine} --tp 9 --seed $SEED 2>&1 | tee /log"
    shell = worker.with_(command=("/bin/sh", "-c"), args=(script,))
    changed = ENGINES[engine].with_shape(graph.with_component(shell), PAIR)
    (text,) = engine_of(changed).args
    assert text.startswith(f"exec python3 -m dynamo.{engine} ")
    assert text.endswith(" 2>&1 | tee /log")
    assert " --seed $SEED " in text
    assert " --tp 9 " not in text or engine == "trtllm"
    assert engine_of(changed).gpus == 2
    assert ENGINES[engine].with_shape(changed, PAIR) == changed


@pytest.mark.parametrize("engine", ENGINES)
def test_a_graph_survives_its_manifest(engine: str) -> None:
    manifest = encode(ENGINES[engine].template("q", Shape.pair(MAPPINGS[3])))
    assert encode(decode(manifest)) == manifest


def test_a_pod_asks_for_the_gpus_of_its_node() -> None:
    graph = ENGINES["vllm"].template("q", Shape.pair(Mapping.data_expert(16, nodes=2)))
    worker = engine_of(graph)
    assert (worker.nodes, worker.gpus) == (2, 8)
    assert worker.args[worker.args.index("--data-parallel-size-local") + 1] == "8"
    (main,) = encode(graph)["spec"]["components"][2]["podTemplate"]["spec"]["containers"]
    assert main["resources"] == {
        "requests": {"ephemeral-storage": "2Gi"},
        "limits": {"nvidia.com/gpu": "8"},
    }


def test_a_graph_without_the_role_is_refused() -> None:
    graph = ENGINES["vllm"].template("q", PAIR)
    alone = graph.with_(components=graph.with_role(Role.FRONTEND))
    with pytest.raises(InvalidRequest, match="no component of type prefill"):
        ENGINES["vllm"].with_shape(alone, PAIR)


# What no engine owns, in every form; the shape's own flags in a wrong or repeated spelling.
OTHERS = st.sampled_from(
    [
        ("--seed", "1"),
        ("--dtype=half",),
        ("--log",),
        ("--json", '{"--tp": [1, 2]}'),
        ("--note", "a b"),
    ]
)
WRONG = {
    "vllm": [("-tp=9",), ("--tensor_parallel_size", "3"), ("--disaggregation-mode=agg",)],
    "sglang": [("--tp", "9"), ("--tensor-parallel-size=3",), ("--disaggregation-mode=null",)],
    "trtllm": [
        ("--tensor-parallel-size", "9"),
        ("--trtllm.tensor_parallel_size", "3"),
        ("--override-engine-args", '{"tensor_parallel_size": 3, "x": {"y": 1}}'),
    ],
}
SHAPES = st.sampled_from([shape for mapping in MAPPINGS for shape in shapes(mapping).values()])


@given(data=st.data(), shape=SHAPES, engine=st.sampled_from(list(ENGINES)))
def test_a_users_other_arguments_keep_their_order_and_twice_is_once(
    data: st.DataObject, shape: Shape, engine: str
) -> None:
    entries = data.draw(st.lists(st.one_of(OTHERS, st.sampled_from(WRONG[engine]))))
    own = [item for entry in entries for item in entry]
    name = parts_of(shape)[-1].name
    made = ENGINES[engine].template("q", shape)
    graph = made.with_component(engine_of(made, name).with_(args=tuple(own)))
    once = ENGINES[engine].with_shape(graph, shape)
    assert ENGINES[engine].with_shape(once, shape) == once
    others = [item for entry in entries if entry not in WRONG[engine] for item in entry]
    left = iter(engine_of(once, name).args)
    assert all(item in left for item in others)
    assert engine_of(once, name).gpus == engine_of(made, name).gpus
