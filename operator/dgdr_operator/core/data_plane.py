"""How the pods of a graph find each other and talk; one choice for the whole installation."""

from dataclasses import dataclass, field
from enum import StrEnum

from dgdr_operator.core.pod_rules import PodRules


class Discovery(StrEnum):
    """Where Dynamo's processes look each other up."""

    KUBERNETES = "kubernetes"
    ETCD = "etcd"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlane:
    """What every pod of every graph is told; an empty URL means: there is no such server.

    ``pre_stop_s`` is how long a pod that must go keeps serving: frontends learn from the
    EndpointSlice, 0.5 s late, that it is going, and what they send until then would be lost.
    ``groups`` tells whether the cluster serves LeaderWorkerSets.
    """

    discovery: Discovery = Discovery.KUBERNETES
    request_plane: str = "tcp"
    event_plane: str = "zmq"
    nats_url: str = ""
    etcd_endpoints: str = ""
    model_express_url: str = ""
    prometheus_url: str = ""
    pre_stop_s: int = 5
    pull_secrets: tuple[str, ...] = ()
    pods: PodRules = field(default_factory=PodRules)
    groups: bool = False

    @property
    def needs_rights(self) -> bool:
        """Whether pods must read and write the API server to find each other."""
        return self.discovery is Discovery.KUBERNETES
