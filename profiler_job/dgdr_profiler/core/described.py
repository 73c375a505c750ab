"""Curves as they are handed over: dense rows, and the engine that they describe."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dgdr_api.fingerprint import Fingerprint, fingerprint_of
from dgdr_api.graph import Graph, Role
from dgdr_api.points import Point
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_api.provenance import Provenance
from dgdr_perf.drawn import drawn_decode, drawn_prefill
from dgdr_profiler.core.curves import decode_data, prefill_data
from dgdr_profiler.core.options import DecodeOption, PrefillOption
from dgdr_profiler.core.pick import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """Both curves of the picked engines."""

    prefill: PrefillData
    decode: DecodeData


def described(
    chosen: Selection,
    graph: Graph,
    prefill: Iterable[Point],
    decode: Iterable[Point],
    replayed: bool = False,
) -> Described:
    """Return the curves of what ``graph`` deploys.

    ``replayed``: mockers replay what real engines measured. Then the curves are of the mockers, and
    nobody shall compare them with the image that was measured.

    Raises:
        TooFewPoints: a curve has too few points.
    """
    p, d = chosen.prefill, chosen.decode
    first, second = (Role.WORKER,) * 2 if chosen.aggregated else (Role.PREFILL, Role.DECODE)
    by_length = drawn_prefill(prefill_data(prefill), p.point.gpus)
    by_batch = drawn_decode(decode_data(decode, d.point.max_kv_tokens or 0), d.point.gpus)
    return Described(
        prefill=replace(
            by_length,
            transfer=chosen.transfer,
            provenance=_of(by_length.provenance, _engine(graph, first, p, replayed)),
        ),
        decode=replace(
            by_batch, provenance=_of(by_batch.provenance, _engine(graph, second, d, replayed))
        ),
    )


def _of(provenance: Provenance, engine: Fingerprint | None) -> Provenance:
    return replace(provenance, fingerprint=engine)


def _engine(
    graph: Graph, role: Role, option: PrefillOption | DecodeOption, replayed: bool
) -> Fingerprint | None:
    """Return the engine of a role; None when the graph has not exactly one."""
    components = graph.with_role(role)
    if len(components) != 1:
        return None
    digest = None if replayed else option.point.image_digest or None
    return fingerprint_of(components[0]).model_copy(
        update={"image_digest": digest, "mapping": option.mapping.label if option.mapping else None}
    )
