"""What determined the figures of an engine: its image, arguments, mapping and GPUs.

A profile carries the fingerprint of the engine that it describes. Whoever scales a deployment
compares it with what runs: a profile of another image is a profile of another engine. What one
side does not know is no difference.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field

from dgdr_api.gpus import Uncountable, least, replica_gpus
from dgdr_api.graph import Component
from dgdr_api.models.base import LenientModel

GPU_PRODUCT_LABEL = "nvidia.com/gpu.product"
# Of the arguments that differ; the message of a condition is for humans.
MOST_SHOWN = 6


class Fingerprint(LenientModel):
    """What determined an engine's figures; ``None`` is unknown."""

    image: str | None = Field(default=None, description="Image, as the deployment names it.")
    image_digest: str | None = Field(default=None, description="Image that the pod ran.")
    args: tuple[str, ...] | None = Field(default=None, description="Command and arguments.")
    mapping: str | None = Field(default=None, description="Mapping over GPUs, such as tp2.")
    gpus: int | None = Field(default=None, description="GPUs of one engine, all nodes together.")
    gpu_product: str | None = Field(default=None, description="GPU product, as nodes name it.")

    def to_object(self) -> dict[str, Any]:
        """Return what is known, with the names of this class."""
        return self.model_dump(mode="json", exclude_none=True)

    def differences(self, live: "Fingerprint") -> tuple[str, ...]:
        """Return what differs between the engine of the profile and one that runs, in words."""
        return tuple(_differences(self, live))


def fingerprint_of(component: Component) -> Fingerprint:
    """Return what a deployment says about an engine."""
    selector = component.pod.get("nodeSelector") or {}
    counted = replica_gpus(component)
    # An engine that gets all of its GPUs by claims has no number here, which is not zero.
    is_unknown = isinstance(counted, Uncountable) and not counted.known
    return Fingerprint(
        image=component.image,
        args=(*component.command, *component.args),
        gpus=None if is_unknown else least(counted),
        gpu_product=selector.get(GPU_PRODUCT_LABEL),
    )


def _differences(profiled: Fingerprint, live: Fingerprint) -> Iterator[str]:
    for name, was, runs in (
        ("image", profiled.image, live.image),
        ("image digest", profiled.image_digest, live.image_digest),
        ("mapping", profiled.mapping, live.mapping),
        ("GPUs of one engine", profiled.gpus, live.gpus),
        ("GPU product", profiled.gpu_product, live.gpu_product),
    ):
        if was is not None and runs is not None and was != runs:
            yield f"{name}: profiled {was}, runs {runs}"
    if profiled.args is not None and live.args is not None and profiled.args != live.args:
        yield _arguments(profiled.args, live.args)


def _arguments(profiled: Sequence[str], live: Sequence[str]) -> str:
    was, runs = Counter(_options(profiled)), Counter(_options(live))
    gone, added = list((was - runs).elements()), list((runs - was).elements())
    if not gone and not added:
        return "arguments: profiled in another order"
    return f"arguments: profiled with {_shown(gone)}, runs with {_shown(added)}"


def _options(args: Sequence[str]) -> list[str]:
    """Put each flag and its values together: a value alone says nothing."""
    options: list[str] = []
    for item in args:
        if item.startswith("-") or not options or not options[-1].startswith("-"):
            options.append(item)
        else:
            options[-1] = f"{options[-1]} {item}"
    return options


def _shown(options: Sequence[str]) -> str:
    more = len(options) - MOST_SHOWN
    text = ", ".join(options[:MOST_SHOWN]) or "none of them"
    return f"{text} and {more} more" if more > 0 else text
