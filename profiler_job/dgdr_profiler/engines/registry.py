"""Which engine a request asks for: for its candidates, and for what is generated."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dgdr_api.effective import EffectiveSpec, is_upstream_image
from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.models.profiling_policy import MockerCandidates
from dgdr_api.names import profile_data_config_map
from dgdr_api.releases import release_of
from dgdr_api.request import ProfilingRequest
from dgdr_profiler.core.engine import Engine
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.memory import MIB
from dgdr_profiler.core.model import ModelFacts
from dgdr_profiler.core.room import NOTHING_KNOWN, Room
from dgdr_profiler.engines.backend import BackendEngine
from dgdr_profiler.engines.mocker import BLOCK_TOKENS, Mocker, backends_with_data, of_policy
from dgdr_profiler.engines.sglang import Sglang
from dgdr_profiler.engines.source import ModelSource
from dgdr_profiler.engines.trtllm import Trtllm
from dgdr_profiler.engines.vllm import Vllm

# In the order in which ``auto`` tries them.
ENGINES: Mapping[Backend, type[BackendEngine]] = {
    Backend.VLLM: Vllm,
    Backend.SGLANG: Sglang,
    Backend.TRTLLM: Trtllm,
}
# What an image of somebody's own is called after.
_NAMED_AFTER = {
    "vllm": Backend.VLLM,
    "sglang": Backend.SGLANG,
    "trtllm": Backend.TRTLLM,
    "tensorrt": Backend.TRTLLM,
}


def candidate_engines(
    request: ProfilingRequest,
    wanted: EffectiveSpec,
    profiles: Iterable[str] = (),
    facts: ModelFacts | None = None,
) -> Mapping[Backend | None, Engine]:
    """Return what candidates may run, by the backend where several compete.

    With ``backend: auto`` these are the engines that there is an image for, and of mockers the
    backends that ``profiles``, the keys of their performance data, hold data of their own for.

    Raises:
        InvalidRequest: an image is missing.
    """
    if request.policy.uses_mocker:
        auto = wanted.backend is Backend.AUTO
        rivals = backends_with_data(profiles) if auto else ()
        if not rivals:
            return {None: _mocker(request, wanted)}
        return {backend: _mocker(request, wanted, backend) for backend in rivals}
    found, room = backends(wanted), room_of(request, wanted, facts)
    if len(found) == 1:
        return {None: backend_engine(wanted, found[0], room)}
    return {backend: backend_engine(wanted, backend, room) for backend in found}


def final_engine(
    request: ProfilingRequest,
    wanted: EffectiveSpec,
    rank_kv_tokens: int,
    backend: Backend | None = None,
    facts: ModelFacts | None = None,
) -> Engine:
    """Return what the generated deployment runs; ``backend`` is the winner, where several compete.

    A mocker has the KV cache that was measured, on each of its attention ranks. Where mockers stood
    for the candidates it is the one that was measured; otherwise it is fed with the measured curves
    and holds no GPUs.

    Raises:
        InvalidRequest: an image is missing.
    """
    if not wanted.mocker:
        room = room_of(request, wanted, facts)
        return backend_engine(wanted, backend or backends(wanted)[0], room)
    mocker = _mocker(request, wanted, backend)
    mocker = replace(mocker, kv_blocks=rank_kv_tokens // BLOCK_TOKENS)
    if request.policy.uses_mocker:
        return mocker
    return replace(
        mocker,
        data=profile_data_config_map(request.uid),
        measured=True,
        speedup_ratio=1.0,
        with_gpus=False,
    )


def backends(wanted: EffectiveSpec) -> tuple[Backend, ...]:
    """Return the backends that the request's image stands for, the preferred one first.

    Upstream's images have a sibling of the same tag for each backend; a digest names one image
    only. An image of somebody's own has one engine: the one in its name, else vLLM.
    """
    if wanted.backend is not Backend.AUTO:
        return (wanted.backend,)
    image = wanted.image or ""
    if is_upstream_image(image) and "@" not in image:
        return tuple(ENGINES)
    name = image.rpartition("/")[2].lower()
    found = (backend for part, backend in _NAMED_AFTER.items() if part in name)
    return (next(found, Backend.VLLM),)


def room_of(request: ProfilingRequest, wanted: EffectiveSpec, facts: ModelFacts | None) -> Room:
    """Return what is known of GPUs, model and load."""
    vram_mib = request.hardware.vram_mib or wanted.vram_mib
    return Room(
        gpu_bytes=None if vram_mib is None else round(vram_mib * MIB),
        facts=facts,
        isl=wanted.isl,
        osl=wanted.osl,
    )


def backend_engine(wanted: EffectiveSpec, backend: Backend, room: Room = NOTHING_KNOWN) -> Engine:
    """Return the engine of a definite backend.

    Raises:
        InvalidRequest: its image is missing.
    """
    image = wanted.worker_image(backend)
    if image is None:
        raise InvalidRequest(
            f"spec.image: no image for the workers; set one with {backend} and Dynamo"
        )
    release = release_of(wanted.runtime_version, image)
    return ENGINES[backend](
        image=image,
        source=_source(wanted),
        release=release,
        room=room,
        kv_router=wanted.kv_router,
    )


def _source(wanted: EffectiveSpec) -> ModelSource:
    return ModelSource(
        model=wanted.model,
        cache=wanted.model_cache,
        trust_remote_code=wanted.trust_remote_code,
    )


def _mocker(
    request: ProfilingRequest, wanted: EffectiveSpec, rival: Backend | None = None
) -> Mocker:
    settings = request.policy.mocker or MockerCandidates()
    image = settings.image or request.images.dynamo_mocker
    if image is None:
        raise InvalidRequest(
            "ProfilingPolicy spec.mocker.image: no image with Dynamo's mocker is configured; set "
            "it, or images.dynamoMocker of the installation"
        )
    mocker = of_policy(request.policy, image, request.images.pull_policy, _source(wanted))
    return replace(mocker, backend=rival or backends(wanted)[0], rival=rival is not None)
