import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.fingerprint import Fingerprint, fingerprint_of
from dgdr_api.graph import Component, Role

ARGS = ("python3", "-m", "dynamo.vllm", "--model", "m", "--tensor-parallel-size", "2")
PROFILED = Fingerprint(
    image="vllm:1.0.2",
    image_digest="sha256:aa",
    args=ARGS,
    mapping="TP=2",
    gpus=2,
    gpu_product="NVIDIA-H200",
)
texts = st.none() | st.sampled_from(["a", "b"])
fingerprints = st.builds(
    Fingerprint,
    image=texts,
    args=st.none() | st.lists(st.sampled_from(["--a", "--b", "1"])).map(tuple),
    gpus=st.none() | st.integers(0, 8),
)


def changed(**changes: object) -> tuple[str, ...]:
    return PROFILED.differences(PROFILED.model_copy(update=changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image": "vllm:1.1"}, "image: profiled vllm:1.0.2, runs vllm:1.1"),
        ({"image_digest": "sha256:bb"}, "image digest: profiled sha256:aa, runs sha256:bb"),
        ({"mapping": "TP=4"}, "mapping: profiled TP=2, runs TP=4"),
        ({"gpus": 4}, "GPUs of one engine: profiled 2, runs 4"),
        ({"gpu_product": "NVIDIA-L4"}, "GPU product: profiled NVIDIA-H200, runs NVIDIA-L4"),
        (
            {"args": (*ARGS[:-1], "4", "--enforce-eager")},
            "arguments: profiled with --tensor-parallel-size 2, runs with"
            " --tensor-parallel-size 4, --enforce-eager",
        ),
        (
            {"args": ARGS[:-2]},
            "arguments: profiled with --tensor-parallel-size 2, runs with none of them",
        ),
    ],
)
def test_what_differs_is_said_with_both_values(changes: dict[str, object], says: str) -> None:
    assert changed(**changes) == (says,)


def test_the_same_arguments_in_another_order_are_another_command() -> None:
    swapped = Fingerprint(args=("--b", "--a"))
    assert Fingerprint(args=("--a", "--b")).differences(swapped) == (
        "arguments: profiled in another order",
    )


def test_of_many_arguments_the_first_are_named_and_the_others_counted() -> None:
    many = Fingerprint(args=tuple(f"--flag-{n}" for n in range(20)))
    (told,) = Fingerprint(args=()).differences(many)
    assert told.endswith("--flag-5 and 14 more")


@given(fingerprints)
def test_an_engine_does_not_differ_from_itself_nor_from_an_unknown_one(one: Fingerprint) -> None:
    assert one.differences(one) == ()
    assert one.differences(Fingerprint()) == ()
    assert Fingerprint().differences(one) == ()


@given(fingerprints)
def test_a_fingerprint_survives(one: Fingerprint) -> None:
    assert Fingerprint.model_validate(one.to_object()) == one


def test_a_field_of_a_later_release_is_read_over() -> None:
    later = {**PROFILED.to_object(), "driver": "580"}
    assert Fingerprint.model_validate(later) == PROFILED


def test_a_component_says_image_arguments_gpus_of_all_nodes_and_the_product_it_asks_for() -> None:
    component = Component(
        name="decode",
        role=Role.DECODE,
        image="vllm:1",
        command=("python3",),
        args=("--x",),
        gpus=8,
        nodes=2,
        pod={"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H200"}},
    )
    assert fingerprint_of(component) == Fingerprint(
        image="vllm:1", args=("python3", "--x"), gpus=16, gpu_product="NVIDIA-H200"
    )
    assert fingerprint_of(component.with_(pod={})).gpu_product is None


@pytest.mark.parametrize(
    ("limits", "gpus"),
    [
        pytest.param({}, None, id="all of them by a claim"),
        pytest.param({"amd.com/gpu": 8}, 8, id="a claim beside what is known"),
    ],
)
def test_gpus_that_nobody_can_count_are_no_difference(limits: object, gpus: int | None) -> None:
    claim = {"name": "channel", "resourceClaimTemplateName": "channel"}
    component = Component(
        name="d",
        role=Role.DECODE,
        pod={"resourceClaims": [claim]},
        container={"resources": {"limits": limits}},
    )
    live = fingerprint_of(component)
    assert live.gpus == gpus
    assert Fingerprint(gpus=8).differences(live) == ()
