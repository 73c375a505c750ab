"""vLLM under Dynamo: upstream's disaggregated template, and its tensor parallelism."""

from dataclasses import dataclass

from dgdr_api import names
from dgdr_api.effective import EffectiveModelCache
from dgdr_api.graph import Component, Graph, Json, Role
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.engines import base
from dgdr_profiler.engines.args import with_value

TENSOR_PARALLEL = "--tensor-parallel-size"
TENSOR_PARALLEL_ALIASES = ("-tp", "--tp")
# Without it the prefill worker computes keys and values that nobody fetches.
KV_PRODUCER = '{"kv_connector":"NixlConnector","kv_role":"kv_producer"}'
CACHE_VOLUME = "model-cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vllm:
    """Writes graphs for vLLM."""

    image: str
    model: str
    cache: EffectiveModelCache | None = None
    trust_remote_code: bool = False

    @property
    def served_model(self) -> str:
        """Name under which the model is served."""
        return self.model

    def template(self, name: str) -> Graph:
        """Return a frontend, a prefill and a decode engine on one GPU each."""
        prefill = ("--disaggregation-mode", "prefill", "--kv-transfer-config", KV_PRODUCER)
        decode = ("--disaggregation-mode", "decode")
        components = (
            self._cached(base.frontend(self.image, self._frontend_args(), env_from=(_TOKEN,))),
            self._worker(base.PREFILL, Role.PREFILL, prefill),
            self._worker(base.DECODE, Role.DECODE, decode),
        )
        return Graph(name=name, components=components, backend="vllm")

    def with_mapping(self, graph: Graph, role: Role, mapping: Candidate) -> Graph:
        """Spread the engines of one role over the mapping's GPUs by tensor parallelism."""
        for worker in base.workers(graph, role):
            args = with_value(
                worker.args, TENSOR_PARALLEL, mapping.tensor_parallel, *TENSOR_PARALLEL_ALIASES
            )
            graph = graph.with_component(worker.with_(args=args, gpus=mapping.engine_gpus))
        return graph

    def _worker(self, name: str, role: Role, mode: tuple[str, ...]) -> Component:
        trust = ("--trust-remote-code",) if self.trust_remote_code else ()
        return self._cached(
            Component(
                name=name,
                role=role,
                replicas=1,
                image=self.image,
                command=("python3", "-m", "dynamo.vllm"),
                args=(*self._model_args(), *mode, *trust),
                gpus=1,
                env_from=(_TOKEN,),
                container={"resources": {"requests": {"ephemeral-storage": "2Gi"}}},
            )
        )

    def _model_args(self) -> tuple[str, ...]:
        if self.cache is None:
            return ("--model", self.model)
        return ("--model", self.cache.model_path, "--served-model-name", self.model)

    def _frontend_args(self) -> tuple[str, ...]:
        """The frontend loads the tokenizer itself, and must find it where the workers do."""
        if self.cache is None:
            return ()
        return ("--model-name", self.model, "--model-path", self.cache.model_path)

    def _cached(self, component: Component) -> Component:
        if self.cache is None:
            return component
        claim = {"claimName": self.cache.pvc_name}
        return component.with_(
            volumes=({"name": CACHE_VOLUME, "persistentVolumeClaim": claim},),
            volume_mounts=({"name": CACHE_VOLUME, "mountPath": self.cache.mount_path},),
        )


# Optional: a model that needs no token must not wait for a Secret that nobody made.
_TOKEN: Json = {"secretRef": {"name": names.HF_TOKEN_SECRET, "optional": True}}
