"""What a deployed graph says about itself: its workers' metrics and metadata."""

import json
from dataclasses import dataclass

from dgdr_api import names
from dgdr_api.graph import Role
from dgdr_api.models.worker_metadata import DynamoWorkerMetadata, ModelCard
from dgdr_perf.engine_profile import EngineProfile
from hack.demo.kube import Kube, Manifest
from hack.real_engine.exposition import PromptTokens, Sample, prompt_tokens, samples

SYSTEM_PORT, FRONTEND_PORT = 9090, 8000
WORKER_METADATA = "dynamoworkermetadatas.nvidia.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A deployed graph of one replica of each component."""

    kube: Kube
    graph: str
    namespace: str

    @property
    def url(self) -> str:
        """Address of its frontend inside the cluster."""
        return names.frontend_url(self.namespace, self.graph, Role.FRONTEND)

    def pod(self, role: Role) -> Manifest:
        """Return the pod of a role."""
        labels = {names.Label.GRAPH: self.graph, names.Label.COMPONENT_TYPE: role}
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        (found,) = self.kube.list("pods", self.namespace, selector)
        return found

    def page(self, role: Role) -> tuple[Sample, ...]:
        """Return the metrics of a role's pod."""
        port = FRONTEND_PORT if role is Role.FRONTEND else SYSTEM_PORT
        name = f"{self.pod(role)['metadata']['name']}:{port}"
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}/proxy/metrics"
        return samples(self.kube.run("get", "--raw", path))

    def tokens(self, role: Role) -> PromptTokens:
        """Return where the prompt tokens of a role's engine came from."""
        return prompt_tokens(self.page(role))

    def card(self, role: Role) -> ModelCard:
        """Return what a role's worker publishes about its engine."""
        name = self.pod(role)["metadata"]["name"]
        found = self.kube.get(WORKER_METADATA, name, self.namespace)
        return DynamoWorkerMetadata.parse(found).cards()[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What the profiler stored."""

    report: Manifest
    profile: EngineProfile

    @classmethod
    def of(cls, kube: Kube, dgdr: str, namespace: str) -> "Output":
        """Read the output of a request."""
        found = kube.get("configmap", names.output_config_map(dgdr), namespace)
        if found is None:
            raise SystemExit(f"{dgdr} has no output")
        data = found["data"]
        prefill, decode = (
            data[key] for key in (names.OutputKey.PREFILL_JSON, names.OutputKey.DECODE_JSON)
        )
        report = json.loads(data[names.OutputKey.REPORT])
        return cls(report=report, profile=EngineProfile.from_json(prefill, decode))
