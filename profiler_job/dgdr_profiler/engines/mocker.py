"""Dynamo's mocker: real processes and pods, simulated engine times.

As a candidate it stands for an engine and is fed with performance data of each mapping, and so is
the deployment that follows. Where candidates ran the real engine, a deployment of mockers is fed
with the curves that were measured.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from dgdr_api import names
from dgdr_api.graph import Component, Graph, Json, Role
from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.models.profiling_policy import (
    DEFAULT_PROFILES,
    MockerCandidates,
    ProfilingPolicySpec,
)
from dgdr_api.releases import Feature, release_of
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.engines import base
from dgdr_profiler.engines.args import (
    Args,
    degree,
    flag,
    value_of,
    with_default,
    with_switch,
    with_value,
)
from dgdr_profiler.engines.base import Fitted, Mode, Part
from dgdr_profiler.engines.mocked_model import MockedModel, in_claim, in_image
from dgdr_profiler.engines.source import ModelSource

PROFILES_MOUNT = "/profiles"
STOCK = ("python3", "-m", "dynamo.mocker")
# Of our own image of 1.0: starts that release without NATS.
LAUNCHER = ("python3", "/opt/dgdr/mocker.py")
# The mocker's own default, written out: capacity is blocks times this.
BLOCK_TOKENS = 64
# NVLink inside one node, in GB/s. The mocker's default is a network between nodes, and would add to
# every time to first token what its performance data does not hold.
KV_TRANSFER_GB_PER_S = 450.0
BANDWIDTH = flag("--kv-transfer-bandwidth")
DATA = flag("--planner-profile-data")
DP = flag("--data-parallel-size")
CACHE = flag("--enable-prefix-caching")
NO_CACHE = flag("--no-enable-prefix-caching")
# Without a CPU request a pod is starved by anything else on the machine, and its times are no more
# those of its data.
CONTAINER: Json = {
    "resources": {
        "requests": {"cpu": "150m", "memory": "192Mi"},
        "limits": {"memory": "512Mi"},
    }
}


# vLLM is what every mocker plays where nobody says otherwise.
PLAYED = {Backend.SGLANG: Feature.MOCKED_SGLANG, Backend.TRTLLM: Feature.MOCKED_TRTLLM}


def profile_key(mapping: Mapping, backend: Backend | None = None) -> str:
    """Return the key of a mapping's performance data in the profiles' ConfigMap: ``tp-2.npz``.

    Where several backends compete each has data of its own: ``sglang-tp-2.npz``.
    """
    key = re.sub(r"^([a-z]+)(\d)", r"\1-\2", mapping.id) + ".npz"
    return key if backend is None else f"{backend}-{key}"


def backends_with_data(profiles: Iterable[str]) -> tuple[Backend, ...]:
    """Return the backends that the keys of a profiles' ConfigMap have data of their own for."""
    keys = tuple(profiles)
    definite = (b for b in Backend if b is not Backend.AUTO)
    return tuple(b for b in definite if any(key.startswith(f"{b}-") for key in keys))


def transfer_gb_per_s(graphs: Iterable[Graph]) -> float:
    """Return what the link between mockers carries: as a pair is told, else what we tell pairs."""
    told = (value_of(c.args, BANDWIDTH) for graph in graphs for c in graph.with_role(Role.DECODE))
    return next((float(value) for value in told if value is not None), KV_TRANSFER_GB_PER_S)


def command_of(image: str) -> tuple[str, ...]:
    """Return how the mocker of an image is started.

    Upstream's images have no launcher, and from 1.1 on need none.
    """
    without_nats = release_of(None, image).has(Feature.MOCKER_WITHOUT_NATS)
    return STOCK if without_nats else LAUNCHER


@dataclass(frozen=True, slots=True, kw_only=True)
class Mocker:
    """Writes graphs of mockers.

    ``data`` is the ConfigMap with their performance data: one file for each mapping, or, when
    ``measured`` is set, the file that was drawn from the measured curves. They play ``backend``,
    with data of its own where it is a ``rival`` of others.
    """

    image: str
    data: str
    backend: Backend = Backend.VLLM
    rival: bool = False
    model: MockedModel = field(default_factory=MockedModel)
    pull_policy: str = "IfNotPresent"
    measured: bool = False
    speedup_ratio: float = 1.0
    kv_blocks: int | None = None
    kv_transfer_gb_per_s: float = KV_TRANSFER_GB_PER_S
    with_gpus: bool = True

    @property
    def served_model(self) -> str:
        """Name under which the model is served."""
        return self.model.name

    @property
    def publishes_kv_events(self) -> bool:
        """Mockers do, by themselves."""
        return True

    def without_guesses(self) -> "Mocker":
        """Return itself: a mocker knows no facts."""
        return self

    def template(self, name: str, shape: Shape) -> Graph:
        """Return a frontend and a mocker for each engine of a shape."""
        frontend = self._reachable(base.frontend(self.image))
        mockers = (self._worker(part) for part in base.parts_of(shape))
        return self.with_shape(Graph(name=name, components=(frontend, *mockers)), shape)

    def notes(self, graph: Graph, shape: Shape) -> tuple[str, ...]:
        """Return nothing: a mocker takes what it is given."""
        return ()

    def with_shape(self, graph: Graph, shape: Shape) -> Graph:
        """Feed the mockers with the data of a shape's mappings, and hold its GPUs."""
        return base.fitted(graph, shape, self._fit)

    def _reachable(self, component: Component) -> Component:
        container = {**CONTAINER, "imagePullPolicy": self.pull_policy}
        return self.model.reachable(component.with_(container=container))

    def _worker(self, part: Part) -> Component:
        mount = names.PROFILE_DATA_MOUNT if self.measured else PROFILES_MOUNT
        worker = self._reachable(
            Component(
                name=part.name,
                role=part.role,
                replicas=1,
                image=self.image,
                command=command_of(self.image),
            )
        )
        data = {"name": self.data, "mountPath": mount, "readOnly": True}
        return worker.with_(
            volumes=({"name": self.data, "configMap": {"name": self.data}}, *worker.volumes),
            volume_mounts=(data, *worker.volume_mounts),
        )

    def _fit(self, args: Args, part: Part) -> Fitted:
        for name, value in self._defaults(part.mode):
            args = with_default(args, flag(name), value)
        if part.mapping.dp > 1:
            args = with_value(args, DP, part.mapping.dp)
        if part.mode is Mode.PREFILL_ALONE:
            args = with_switch(args, NO_CACHE, CACHE)
        if part.mode is Mode.DECODE_ALONE:
            args = with_switch(args, CACHE, NO_CACHE)
        args = with_value(args, DATA, self._data_file(part.mapping))
        gpus = part.mapping.tp * part.mapping.pp * degree(args, DP)
        return Fitted(args, gpus if self.with_gpus else 0)

    def _data_file(self, mapping: Mapping) -> str:
        """Return a file, never the folder of upstream's curves.

        From 1.1 on a folder is reduced to a plane through its points, with packages that the
        mocker's own requirements do not bring (sklearn, aisimulate).
        """
        if self.measured:
            return f"{names.PROFILE_DATA_MOUNT}/{names.MOCKER_NPZ_KEY}"
        return f"{PROFILES_MOUNT}/{self.profile_key(mapping)}"

    def profile_key(self, mapping: Mapping) -> str:
        """Return the key of a mapping's performance data."""
        return profile_key(mapping, self.backend if self.rival else None)

    def _defaults(self, mode: Mode) -> tuple[tuple[str, str], ...]:
        blocks = () if self.kv_blocks is None else (("--num-gpu-blocks-override", self.kv_blocks),)
        pair = (
            (BANDWIDTH.name, f"{self.kv_transfer_gb_per_s:g}"),
            ("--disaggregation-mode", mode.value),
        )
        wanted: tuple[tuple[str, object], ...] = (
            ("--model-path", self.model.path),
            ("--model-name", self.model.name),
            ("--speedup-ratio", f"{self.speedup_ratio:g}"),
            ("--block-size", BLOCK_TOKENS),
            *blocks,
            *(pair if mode.in_pair else ()),
            *self._played(),
        )
        return tuple((name, str(value)) for name, value in wanted)

    def _played(self) -> tuple[tuple[str, object], ...]:
        feature = PLAYED.get(self.backend)
        if feature is None or not release_of(None, self.image).has(feature):
            return ()
        return (("--engine-type", self.backend),)


def renamed(served: str, model: str) -> str:
    """Say that a model is not served under the name by which it was asked for; empty: it is."""
    if served == model:
        return ""
    return f"served as {served}, not as {model}: these mockers have the model of their image"


def of_policy(
    policy: ProfilingPolicySpec, image: str, pull_policy: str, source: ModelSource
) -> Mocker:
    """Return the mocker that stands for candidates.

    It serves the request's model, with the files of its claim. A request without a claim, or a
    policy that names another model, has that of the image.
    """
    mocker = policy.mocker or MockerCandidates()
    named = mocker.model_path or mocker.model_name
    of_claim = None if named else in_claim(source)
    return Mocker(
        image=mocker.image or image,
        data=mocker.profiles_config_map or DEFAULT_PROFILES,
        model=of_claim or in_image(mocker.model_path, mocker.model_name),
        pull_policy=pull_policy,
        speedup_ratio=mocker.speedup_ratio or 1.0,
        kv_blocks=mocker.kv_blocks,
        kv_transfer_gb_per_s=policy.kv_transfer_gb_per_s or KV_TRANSFER_GB_PER_S,
    )
