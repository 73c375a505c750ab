"""The shape of a candidate: which engines stand side by side, and how each is spread over GPUs.

A *mapping* spreads one engine. Attention is split by ``tp`` and repeated by ``dp``, layers are
split by ``pp``, and the feed-forward part, experts or not, by ``moe_tp`` and ``moe_ep``. A *shape*
names the engines of one deployment: a prefill and a decode engine, one of them alone, or one engine
that does both.
"""

import math
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass

from dgdr_api.graph import Role


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Mapping:
    """How one engine is spread; every degree is at least 1.

    Use the constructors: they keep ``moe_tp`` and ``moe_ep`` in step with ``tp`` and ``dp``.
    """

    tp: int = 1
    pp: int = 1
    dp: int = 1
    moe_tp: int = 1
    moe_ep: int = 1
    nodes: int = 1

    @classmethod
    def tensor(cls, gpus: int, nodes: int = 1) -> "Mapping":
        """TP: every matrix of every layer is split over all GPUs."""
        return cls(tp=gpus, moe_tp=gpus, nodes=nodes)

    @classmethod
    def tensor_expert(cls, gpus: int, nodes: int = 1) -> "Mapping":
        """TEP: attention is split over all GPUs, each of which has some of the experts."""
        return cls(tp=gpus, moe_ep=gpus, nodes=nodes)

    @classmethod
    def data_expert(cls, gpus: int, nodes: int = 1) -> "Mapping":
        """DEP: each GPU attends to requests of its own and has some of the experts."""
        return cls(dp=gpus, moe_ep=gpus, nodes=nodes)

    @property
    def gpus(self) -> int:
        """GPUs of the engine."""
        return self.tp * self.pp * self.dp

    @property
    def gpus_per_node(self) -> int:
        """GPUs that each of its pods asks for."""
        return math.ceil(self.gpus / self.nodes)

    @property
    def ranks(self) -> int:
        """Attention ranks, each with requests and a KV cache of its own."""
        return self.dp

    @property
    def id(self) -> str:
        """Name in labels, object names and records; two mappings never share one."""
        return self._strategy("", "-n")

    @property
    def label(self) -> str:
        """Name for humans, as upstream writes it: ``TP=4``, ``TEP=8``, ``DEP=16 on 2 nodes``."""
        nodes = f" on {self.nodes} nodes" if self.nodes > 1 else ""
        return f"{self._named('=').upper()}{nodes}"

    def _strategy(self, equals: str, nodes: str) -> str:
        return (
            f"{self._named(equals)}{nodes}{self.nodes}" if self.nodes > 1 else self._named(equals)
        )

    def _named(self, equals: str) -> str:
        for name, made in (
            ("tp", Mapping.tensor(self.tp, self.nodes)),
            ("tep", Mapping.tensor_expert(self.tp, self.nodes)),
            ("dep", Mapping.data_expert(self.dp, self.nodes)),
        ):
            if self == made:
                return f"{name}{equals}{self.gpus}"
        degrees = zip(
            ("tp", "pp", "dp", "etp", "ep"),
            (self.tp, self.pp, self.dp, self.moe_tp, self.moe_ep),
            strict=True,
        )
        return "-".join(f"{name}{equals}{n}" for name, n in degrees)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Shape:
    """The engines of one deployment: ``worker`` alone, or ``prefill`` and ``decode``, or one."""

    prefill: Mapping | None = None
    decode: Mapping | None = None
    worker: Mapping | None = None

    @classmethod
    def pair(cls, prefill: Mapping, decode: Mapping | None = None) -> "Shape":
        """Disaggregated: one deployment gives both curves."""
        return cls(prefill=prefill, decode=decode or prefill)

    @property
    def mappings(self) -> MappingOf[Role, Mapping]:
        """The mapping of each engine by its role."""
        engines = (
            (Role.PREFILL, self.prefill),
            (Role.DECODE, self.decode),
            (Role.WORKER, self.worker),
        )
        return {role: mapping for role, mapping in engines if mapping is not None}

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of its engines, for humans."""
        return tuple(_LONG[role] for role in self.mappings)

    @property
    def is_aggregated(self) -> bool:
        """Whether one engine does both, prefill and decode."""
        return self.worker is not None

    @property
    def is_pair(self) -> bool:
        """Whether one engine hands prompts over to another."""
        return self.prefill is not None and self.decode is not None

    @property
    def gpus(self) -> int:
        """GPUs of the deployment with one engine of each role."""
        return sum(mapping.gpus for mapping in self.mappings.values())

    @property
    def largest(self) -> Mapping:
        """The mapping with the most GPUs."""
        return max(self.mappings.values(), key=lambda mapping: mapping.gpus)

    @property
    def id(self) -> str:
        """Name in labels, object names and records; two shapes never share one."""
        if self.prefill is not None and self.prefill == self.decode:
            return f"p-{self.prefill.id}"
        return "-".join(f"{_SHORT[role]}-{m.id}" for role, m in self.mappings.items())

    @property
    def label(self) -> str:
        """Name for humans."""
        if self.prefill is not None and self.prefill == self.decode:
            return self.prefill.label
        return ", ".join(f"{_LONG[role]} {m.label}" for role, m in self.mappings.items())


# A pair of equal engines is ``p``: its two roles have one mapping.
_SHORT = {Role.PREFILL: "pre", Role.DECODE: "dec", Role.WORKER: "agg"}
_LONG = {Role.PREFILL: "prefill", Role.DECODE: "decode", Role.WORKER: "aggregated"}
