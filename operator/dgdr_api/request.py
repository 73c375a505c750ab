"""What the operator hands to the profiling Job: one JSON file, mounted.

The spec goes in as the user gave it, so that the Job applies the same defaults as the operator;
what the operator found out (hardware, policy, images) stands beside it.
"""

from enum import StrEnum

from pydantic import Field

from dgdr_api.models.base import ApiModel
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_api.models.profiling_policy import ProfilingPolicySpec


class HardwareSource(StrEnum):
    """Who said what the hardware is."""

    SPEC = "spec"
    DISCOVERED = "discovered"


class RequestHardware(ApiModel):
    """The GPUs to plan with, as far as they are known.

    ``gpu_product`` is the value of the nodes' label ``nvidia.com/gpu.product``, when all nodes that
    count have one and the same.
    """

    gpu_sku: str | None = None
    gpu_product: str | None = None
    gpus_per_node: int | None = Field(default=None, ge=1)
    total_gpus: int | None = Field(default=None, ge=1)
    vram_mib: float | None = Field(default=None, gt=0)
    source: HardwareSource = HardwareSource.DISCOVERED


class RequestImages(ApiModel):
    """Images of the installation that candidates may need."""

    dynamo_mocker: str | None = None
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()


class DataPlane(ApiModel):
    """How Dynamo's processes find and reach each other; environment of every component."""

    discovery: str = "kubernetes"
    request_plane: str = "tcp"
    event_plane: str = "zmq"
    nats_url: str = ""
    etcd_endpoints: str = ""
    model_express_url: str = ""
    pre_stop_seconds: int = Field(default=5, ge=0)


class OwnerReference(ApiModel):
    """Owner of the objects that the Job makes.

    Not a controller, and not blocking the owner's deletion: the operator's own sweep is the
    first to clean up, garbage collection the last.
    """

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ProfilingRequest(ApiModel):
    """One run of the profiling Job."""

    dgdr_name: str
    namespace: str
    uid: str
    generation: int = 0
    spec: DGDRSpec
    policy: ProfilingPolicySpec = ProfilingPolicySpec()
    hardware: RequestHardware = RequestHardware()
    images: RequestImages = RequestImages()
    data_plane: DataPlane = DataPlane()
    owner_reference: OwnerReference
    reusable: tuple[str, ...] = ()
    """Other requests of the namespace for the same model, whose points may be read."""
    dgd_api_version: str | None = None
    """In which version the cluster takes candidates. Default: the one that we store."""

    def to_text(self) -> str:
        """Return the file's content; equal requests give equal text."""
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=2)

    @classmethod
    def from_text(cls, text: str) -> "ProfilingRequest":
        """Read the file's content.

        Raises:
            pydantic.ValidationError: the file is not a request; each error names its field.
        """
        return cls.model_validate_json(text)
