"""Who owns the ``nvidia.com`` kinds, and so in which group and version a cluster keeps ours.

The programs name kinds as mode Standalone has them. This module is the one place that knows where
they are in the other modes; ``served_cluster`` goes there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from dgdr_kube.errors import NotServed
from dgdr_kube.kinds import (
    BESIDE_DGDR,
    DGD,
    DGD_V1ALPHA1,
    DGDR,
    DGDSA,
    DGDSA_V1ALPHA1,
    GPU_BUDGET,
    PROFILING_POLICY,
    SLA_PLANNER,
    WORKER_METADATA,
    Kind,
)

NVIDIAS = (DGDR, DGD, DGDSA, WORKER_METADATA)
OURS = (PROFILING_POLICY, SLA_PLANNER, GPU_BUDGET)
_OLDER = {DGD: DGD_V1ALPHA1, DGDSA: DGDSA_V1ALPHA1}


class Mode(StrEnum):
    """Who owns the nvidia.com kinds."""

    STANDALONE = "Standalone"
    """We: definitions and objects."""
    BESIDE = "Beside"
    """NVIDIA's operator; requests to us are of our own group."""
    TAKEOVER = "Takeover"
    """NVIDIA's operator the definitions, and we the objects of the namespaces that we serve."""


@dataclass(frozen=True, slots=True)
class Served:
    """Where kinds are, of those that are not where we name them, and which are nowhere."""

    places: Mapping[Kind, Kind] = field(default_factory=dict)
    absent: frozenset[Kind] = frozenset()

    def of(self, kind: Kind) -> Kind:
        """Return the kind as the API server knows it."""
        return self.places.get(kind, kind)


AS_NAMED = Served()
"""All kinds are where the programs name them."""


class Discovering(Protocol):
    """Says what the API server has."""

    async def serves(self, kind: Kind) -> bool:
        """Whether it answers for a kind in this group and version."""
        ...


def installed(mode: Mode) -> tuple[Kind, ...]:
    """Return the kinds whose definitions are ours in this mode."""
    match mode:
        case Mode.STANDALONE:
            return (*NVIDIAS, *OURS)
        case Mode.BESIDE:
            return (BESIDE_DGDR, *OURS)
        case Mode.TAKEOVER:
            return OURS


def borrowed(mode: Mode) -> tuple[Kind, ...]:
    """Return the kinds that we serve although their definitions are of NVIDIA's operator."""
    return (DGDR, DGD, DGDSA) if mode is Mode.TAKEOVER else ()


async def discovered(api: Discovering, mode: Mode) -> Served:
    """Return where the kinds are: deployments and adapters in the newest version that we know.

    Raises:
        NotServed: NVIDIA's operator is not installed, or not yet.
    """
    if mode is not Mode.BESIDE:
        return AS_NAMED
    places, absent = {DGDR: BESIDE_DGDR}, set()
    for kind, older in _OLDER.items():
        if await api.serves(kind):
            continue
        if await api.serves(older):
            places[kind] = older
        elif kind == DGD:
            raise NotServed(
                f"{DGD.plural}.{DGD.group} is served in no version that we know; in mode {mode} "
                "NVIDIA's operator has to be installed"
            )
        else:  # its first releases have no adapters
            absent.add(kind)
    return Served(places, frozenset(absent))
