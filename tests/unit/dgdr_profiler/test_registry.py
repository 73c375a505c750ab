"""Which engines a request asks for."""

from typing import Any

import pytest

from dgdr_api.effective import effective
from dgdr_api.models.dgdr_v1beta1 import Backend, DGDRSpec
from dgdr_api.releases import Release
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.engines.registry import backend_engine, backends
from dgdr_profiler.engines.sglang import Sglang
from dgdr_profiler.engines.trtllm import Trtllm
from dgdr_profiler.engines.vllm import Vllm

ALL = (Backend.VLLM, Backend.SGLANG, Backend.TRTLLM)


def wanted(**spec: Any) -> Any:
    return effective(DGDRSpec.model_validate({"model": "org/model", **spec}))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param("r.test/dynamo-planner:1.6.1", ALL, id="upstream's profiler"),
        pytest.param("r.test/sglang-runtime:1.6.1", ALL, id="an upstream runtime"),
        pytest.param("r.test/sglang-runtime@sha256:00", (Backend.SGLANG,), id="a digest"),
        pytest.param("r.test/my-SGLang:1", (Backend.SGLANG,), id="named after an engine"),
        pytest.param("r.test/tensorrt-llm:1", (Backend.TRTLLM,), id="named after TensorRT-LLM"),
        pytest.param("r.test/sglang/ours:1", (Backend.VLLM,), id="a name that says nothing"),
    ],
)
def test_auto_means_the_backends_that_there_is_an_image_for(
    image: str, expected: tuple[Backend, ...]
) -> None:
    assert backends(wanted(image=image)) == expected
    assert backends(wanted(image=image, backend="trtllm")) == (Backend.TRTLLM,)


@pytest.mark.parametrize(
    ("backend", "kind", "name"),
    [
        (Backend.VLLM, Vllm, "vllm-runtime"),
        (Backend.SGLANG, Sglang, "sglang-runtime"),
        (Backend.TRTLLM, Trtllm, "tensorrtllm-runtime"),
    ],
)
def test_each_backend_has_its_image_and_release(backend: Backend, kind: Any, name: str) -> None:
    engine = backend_engine(wanted(image="r.test/vllm-runtime:1.0.2"), backend)
    assert isinstance(engine, kind)
    assert engine.image == f"r.test/{name}:1.0.2"
    assert engine.release == Release(1, 0)
    said = wanted(image="r.test/vllm-runtime:nightly", runtimeVersionOverride="1.1.0")
    assert backend_engine(said, Backend.VLLM).release == Release(1, 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("on", [True, False])
def test_engines_know_of_a_router_by_cached_prefixes(on: bool) -> None:
    said = wanted(image="r.test/vllm-runtime:1.6.1", features={"kvRouter": {"enabled": on}})
    assert backend_engine(said, Backend.VLLM).kv_router is on  # type: ignore[attr-defined]


def test_a_missing_image_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"spec\.image: no image for the workers"):
        backend_engine(wanted(), Backend.SGLANG)
