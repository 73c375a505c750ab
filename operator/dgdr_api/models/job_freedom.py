"""What a ProfilingPolicy lets requests ask of the profiling Job beyond what is harmless.

The Job runs with rights in the namespace and holds the platform's limits, so whatever runs other
code in it, or leaves it alive for longer, is for who owns the policy to allow.
"""

from pydantic import Field

from dgdr_api.models.base import ApiModel, Int32

BACKOFF_LIMIT = 3


class JobFreedom(ApiModel):
    """What ``overrides.profilingJob`` of a request may set that is not allowed by itself."""

    images: tuple[str, ...] = Field(
        default=(),
        max_length=32,
        description="Images that the Job and init containers beside it may run; one that ends in "
        "* allows all that begin like it. Default: the installation's profiler alone.",
    )
    service_accounts: tuple[str, ...] = Field(
        default=(),
        max_length=32,
        description="Accounts that the Job may run as. Default: its own alone.",
    )
    priority_classes: tuple[str, ...] = Field(
        default=(), max_length=32, description="PriorityClasses that the Job may have."
    )
    runtime_classes: tuple[str, ...] = Field(
        default=(), max_length=32, description="RuntimeClasses that the Job may have."
    )
    max_backoff_limit: Int32 | None = Field(
        default=None,
        ge=0,
        le=100,
        description=f"Largest backoffLimit. Default: {BACKOFF_LIMIT}, which is the Job's own.",
    )
    unrestricted: bool | None = Field(
        default=None,
        description="Whether the Job's pod may have what Kubernetes' restricted Pod Security "
        "Standard forbids (root, capabilities, privileges, host paths), envFrom, and variables and "
        "mounts that change what it runs. Whoever writes a request then owns the node. Default: "
        "false.",
    )

    @property
    def largest_backoff_limit(self) -> int:
        """How often a request may have the Job try again."""
        return BACKOFF_LIMIT if self.max_backoff_limit is None else self.max_backoff_limit

    def allows_image(self, image: str) -> bool:
        """Whether an image may run in the Job."""
        return any(
            image.startswith(known[:-1]) if known.endswith("*") else image == known
            for known in self.images
        )
