"""Which engine a request asks for: for its candidates, and for what is generated."""

from dataclasses import replace

from dgdr_api.effective import EffectiveSpec
from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.models.profiling_policy import MockerCandidates
from dgdr_api.names import profile_data_config_map
from dgdr_api.request import ProfilingRequest
from dgdr_profiler.core.engine import Engine
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.engines.mocker import BLOCK_TOKENS, Mocker, of_policy
from dgdr_profiler.engines.vllm import Vllm

SUPPORTED = (Backend.VLLM, Backend.AUTO)


def candidate_engine(request: ProfilingRequest, wanted: EffectiveSpec) -> Engine:
    """Return what the candidates run.

    Raises:
        InvalidRequest: the backend is not supported, or an image is missing.
    """
    return _mocker(request) if request.policy.uses_mocker else _backend(wanted)


def final_engine(request: ProfilingRequest, wanted: EffectiveSpec, max_kv_tokens: int) -> Engine:
    """Return what the generated deployment runs.

    A mocker has the KV cache that was measured. Where mockers stood for the candidates it is the
    one that was measured; otherwise it is fed with the measured curves and holds no GPUs.

    Raises:
        InvalidRequest: the backend is not supported, or an image is missing.
    """
    if not wanted.mocker:
        return _backend(wanted)
    mocker = replace(_mocker(request), kv_blocks=max_kv_tokens // BLOCK_TOKENS)
    if request.policy.uses_mocker:
        return mocker
    return replace(
        mocker,
        data=profile_data_config_map(request.uid),
        measured=True,
        speedup_ratio=1.0,
        with_gpus=False,
    )


def _mocker(request: ProfilingRequest) -> Mocker:
    settings = request.policy.mocker or MockerCandidates()
    image = settings.image or request.images.dynamo_mocker
    if image is None:
        raise InvalidRequest(
            "ProfilingPolicy spec.mocker.image: no image with Dynamo's mocker is configured; set "
            "it, or images.dynamoMocker of the installation"
        )
    return of_policy(settings, image, request.images.pull_policy)


def _backend(wanted: EffectiveSpec) -> Engine:
    if wanted.backend not in SUPPORTED:
        raise InvalidRequest(
            f"backend {wanted.backend} is not supported yet; set spec.backend: vllm"
        )
    image = wanted.worker_image(Backend.VLLM)
    if image is None:
        raise InvalidRequest("spec.image: no image for the workers; set one with vLLM and Dynamo")
    return Vllm(
        image=image,
        model=wanted.model,
        cache=wanted.model_cache,
        trust_remote_code=wanted.trust_remote_code,
    )
