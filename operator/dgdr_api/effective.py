"""What a DGDR means: every default in one place.

The CRD has no defaults, because they differ by version of origin (``defaults``) and upstream's
manifests write null for "unset". So the object stays as the user wrote it, and whoever needs a
value asks here.
"""

from dataclasses import dataclass

from dgdr_api.defaults import V1BETA1
from dgdr_api.graph import Json
from dgdr_api.models.dgdr_v1beta1 import (
    Backend,
    DGDRSpec,
    Features,
    Hardware,
    OptimizationType,
    Overrides,
    SearchStrategy,
    Sla,
    Switch,
    Workload,
)
from dgdr_api.planner_config import wants_planner

DEFAULT_CACHE_MOUNT = "/opt/model-cache"
DISCOVERED_GPUS_CAP = 32
"""Upstream's cap on a discovered GPU budget; a budget that the user gives is not capped."""

PLANNER_IMAGE = "dynamo-planner"
_RUNTIME_IMAGES = {
    Backend.VLLM: "vllm-runtime",
    Backend.SGLANG: "sglang-runtime",
    Backend.TRTLLM: "tensorrtllm-runtime",
}
# 1.0 shipped the profiler in the frontend's image; later releases renamed it.
_PROFILER_IMAGES = (PLANNER_IMAGE, "dynamo-frontend")


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveModelCache:
    """A volume with the model's weights.

    ``model_path`` is the model's absolute folder. It is ``None`` where no folder is named: then the
    volume holds models as the hub's libraries store them, and the model is found by its name.
    """

    pvc_name: str
    mount_path: str
    model_path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveSpec:
    """A DGDR's spec with all defaults applied.

    Either ``ttft_ms`` and ``itl_ms`` are set, or ``e2e_latency_ms``. At most one of
    ``request_rate_per_s`` and ``concurrency`` is set. Hardware that is ``None`` has to be
    discovered.
    """

    model: str
    backend: Backend
    image: str | None
    runtime_version: str | None
    isl: int
    osl: int
    request_rate_per_s: float | None
    concurrency: float | None
    ttft_ms: float | None
    itl_ms: float | None
    e2e_latency_ms: float | None
    optimization: OptimizationType | None
    search_strategy: SearchStrategy
    auto_apply: bool
    gpu_sku: str | None
    vram_mib: float | None
    gpus_per_node: int | None
    total_gpus: int | None
    model_cache: EffectiveModelCache | None
    planner: Json | None
    mocker: bool
    kv_router: bool
    trust_remote_code: bool
    dgd_override: Json | None
    profiling_job_override: Json | None

    def worker_image(self, backend: Backend) -> str | None:
        """Return the image of the workers for a definite backend."""
        return None if self.image is None else runtime_image(self.image, backend)


def effective(spec: DGDRSpec) -> EffectiveSpec:
    """Apply the defaults of v1beta1; a request that was v1alpha1 says its own (``defaults``)."""
    hardware = spec.hardware or Hardware()
    features = spec.features or Features()
    overrides = spec.overrides or Overrides()
    workload = spec.workload or Workload()
    ttft_ms, itl_ms, e2e_latency_ms = _targets(spec.sla or Sla())
    return EffectiveSpec(
        model=spec.model,
        backend=spec.backend or Backend.AUTO,
        image=spec.image,
        runtime_version=spec.runtime_version_override,
        isl=workload.isl or V1BETA1.isl,
        osl=workload.osl or V1BETA1.osl,
        request_rate_per_s=workload.request_rate,
        concurrency=workload.concurrency,
        ttft_ms=ttft_ms,
        itl_ms=itl_ms,
        e2e_latency_ms=e2e_latency_ms,
        optimization=spec.sla.optimization_type if spec.sla else None,
        search_strategy=spec.search_strategy or SearchStrategy.RAPID,
        auto_apply=spec.auto_apply is not False,
        gpu_sku=hardware.gpu_sku,
        vram_mib=hardware.vram_mb,
        gpus_per_node=hardware.num_gpus_per_node,
        total_gpus=hardware.total_gpus,
        model_cache=_model_cache(spec),
        planner=features.planner if wants_planner(features.planner) else None,
        mocker=_on(features.mocker),
        kv_router=_on(features.kv_router),
        trust_remote_code=bool(overrides.trust_remote_code),
        dgd_override=overrides.dgd,
        profiling_job_override=overrides.profiling_job,
    )


def runtime_image(image: str, backend: Backend) -> str:
    """Return the backend's runtime image of the same registry and tag.

    Upstream's images have siblings: its profiler image and the runtime image of each backend. Any
    other image is taken to be a runtime image already.
    """
    runtime = _RUNTIME_IMAGES.get(backend)
    name = _image_name(image)
    if runtime in (None, name) or not is_upstream_image(image):
        return image
    path, slash, last = image.rpartition("/")
    # A digest names one image only, so it goes with the name; ``validate`` reports it.
    _, colon, tag = last.partition("@")[0].partition(":")
    return f"{path}{slash}{runtime}{colon}{tag}"


def is_profiler_image(image: str) -> bool:
    """Whether upstream's profiler image is meant, which runs no engine."""
    return _image_name(image) in _PROFILER_IMAGES


def is_upstream_image(image: str) -> bool:
    """Whether the image is one of upstream's, beside which the other backends' stand."""
    return is_profiler_image(image) or _image_name(image) in _RUNTIME_IMAGES.values()


def _image_name(image: str) -> str:
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def _targets(sla: Sla) -> tuple[float | None, float | None, float | None]:
    if sla.e2e_latency is not None:
        return None, None, sla.e2e_latency
    if sla.ttft is None and sla.itl is None:
        return V1BETA1.ttft_ms, V1BETA1.itl_ms, None
    return sla.ttft, sla.itl, None


def _on(switch: Switch | None) -> bool:
    return switch is not None and bool(switch.enabled)


def _model_cache(spec: DGDRSpec) -> EffectiveModelCache | None:
    cache = spec.model_cache
    if cache is None or not cache.pvc_name:
        return None
    mount = (cache.pvc_mount_path or DEFAULT_CACHE_MOUNT).rstrip("/")
    return EffectiveModelCache(
        pvc_name=cache.pvc_name,
        mount_path=mount or "/",
        model_path=_model_folder(cache.pvc_model_path, mount),
    )


def _model_folder(path: str | None, mount: str) -> str | None:
    """Resolve the model's folder; a path that is under the mount already is taken as it is."""
    if not path:
        return None
    inside = path.rstrip("/")
    if inside != mount and not inside.startswith(f"{mount}/"):
        inside = f"{mount}/{inside.lstrip('/')}".rstrip("/")
    return inside or "/"
