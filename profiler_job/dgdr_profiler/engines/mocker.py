"""Dynamo's mocker: real processes and pods, simulated engine times.

As a candidate it stands for an engine and is fed with performance data of each mapping, and so is
the deployment that follows. Where candidates ran the real engine, a deployment of mockers is fed
with the curves that were measured.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from dgdr_api import names
from dgdr_api.graph import Component, Graph, Json, Role
from dgdr_api.models.profiling_policy import MockerCandidates
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.engines import base
from dgdr_profiler.engines.args import with_value

DEFAULT_MODEL_PATH = "/model"
DEFAULT_MODEL_NAME = "model"
DEFAULT_PROFILES = "mocker-profiles"
PROFILES_MOUNT = "/profiles"
LAUNCHER = ("python3", "/opt/dgdr/mocker.py")
# The mocker's own default, written out: capacity is blocks times this.
BLOCK_TOKENS = 64
# NVLink inside one node, in GB/s. The mocker's default is a network between nodes, and would add to
# every time to first token what its performance data does not hold.
KV_TRANSFER_GB_PER_S = 450
DATA_FLAG = "--planner-profile-data"
# Without a CPU request a pod is starved by anything else on the machine, and its times are no more
# those of its data.
CONTAINER: Json = {
    "resources": {
        "requests": {"cpu": "150m", "memory": "192Mi"},
        "limits": {"memory": "512Mi"},
    }
}


def profile_key(mapping: Candidate) -> str:
    """Return the key of a mapping's performance data in the profiles' ConfigMap."""
    return f"tp-{mapping.tensor_parallel}.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mocker:
    """Writes graphs of mockers.

    ``data`` is the ConfigMap with their performance data: one file for each mapping, or, when
    ``measured`` is set, the two curves of upstream's profile data.
    """

    image: str
    data: str
    model_path: str = DEFAULT_MODEL_PATH
    model_name: str = DEFAULT_MODEL_NAME
    pull_policy: str = "IfNotPresent"
    measured: bool = False
    speedup_ratio: float = 1.0
    kv_blocks: int | None = None
    with_gpus: bool = True

    @property
    def served_model(self) -> str:
        """Name under which the model is served."""
        return self.model_name

    def template(self, name: str) -> Graph:
        """Return a frontend, a prefill and a decode mocker."""
        folder = working_dir(self.model_path, self.model_name)
        shared: dict[str, Any] = {
            "working_dir": folder,
            "container": {**CONTAINER, "imagePullPolicy": self.pull_policy},
        }
        components = (
            base.frontend(self.image, **shared),
            self._worker(base.PREFILL, Role.PREFILL, shared),
            self._worker(base.DECODE, Role.DECODE, shared),
        )
        return Graph(name=name, components=components)

    def with_mapping(self, graph: Graph, role: Role, mapping: Candidate) -> Graph:
        """Feed the mockers of one role with the mapping's data, and hold its GPUs."""
        for worker in base.workers(graph, role):
            source = f"{PROFILES_MOUNT}/{profile_key(mapping)}"
            args = with_value(
                worker.args, DATA_FLAG, names.PROFILE_DATA_MOUNT if self.measured else source
            )
            gpus = mapping.engine_gpus if self.with_gpus else 0
            graph = graph.with_component(worker.with_(args=args, gpus=gpus))
        return graph

    def _worker(self, name: str, role: Role, shared: dict[str, Any]) -> Component:
        mount = names.PROFILE_DATA_MOUNT if self.measured else PROFILES_MOUNT
        return Component(
            name=name,
            role=role,
            replicas=1,
            image=self.image,
            command=LAUNCHER,
            args=self._args(name),
            gpus=1 if self.with_gpus else 0,
            volumes=({"name": self.data, "configMap": {"name": self.data}},),
            volume_mounts=({"name": self.data, "mountPath": mount, "readOnly": True},),
            **shared,
        )

    def _args(self, role: str) -> tuple[str, ...]:
        blocks = () if self.kv_blocks is None else ("--num-gpu-blocks-override", self.kv_blocks)
        return (
            *("--model-path", self.model_path, "--model-name", self.model_name),
            *("--speedup-ratio", f"{self.speedup_ratio:g}", "--block-size", str(BLOCK_TOKENS)),
            *map(str, blocks),
            *("--kv-transfer-bandwidth", str(KV_TRANSFER_GB_PER_S)),
            *("--disaggregation-mode", role),
        )


def working_dir(model_path: str, model_name: str) -> str:
    """Return the folder that both processes run in.

    Dynamo's frontend looks for a folder named like the model in its own working directory, so the
    path must end with the name.

    Raises:
        InvalidRequest: it does not.
    """
    if not model_path.startswith("/") or not f"{model_path}/".endswith(f"/{model_name}/"):
        raise InvalidRequest(
            f"ProfilingPolicy spec.mocker.modelName: {model_name} must be the end of modelPath "
            f"{model_path}; the frontend finds the model's folder by its name"
        )
    return str(PurePosixPath(model_path.removesuffix(model_name)))


def of_policy(mocker: MockerCandidates, image: str, pull_policy: str) -> Mocker:
    """Return the mocker that stands for candidates."""
    return Mocker(
        image=mocker.image or image,
        data=mocker.profiles_config_map or DEFAULT_PROFILES,
        model_path=mocker.model_path or DEFAULT_MODEL_PATH,
        model_name=mocker.model_name or DEFAULT_MODEL_NAME,
        pull_policy=pull_policy,
        speedup_ratio=mocker.speedup_ratio or 1.0,
        kv_blocks=mocker.kv_blocks,
    )
