"""The samples that one query returned, by deployment."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# Labels that say by which way a series reached Prometheus, not what it counts. Without them the
# copies of a target that is scraped twice, or by two Prometheus replicas, are seen to be copies.
_ROUTE_LABELS = frozenset(
    {"__name__", "instance", "job", "prometheus", "prometheus_replica", "replica", "cluster"}
    | {"container", "service", "pod_ip", "receive", "tenant_id", "monitor"}
)


MAX_LABEL_CHARS = 63


class GraphKey(NamedTuple):
    """Which deployment a series belongs to."""

    namespace: str
    dynamo_namespace: str


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of one series: Prometheus's clock in seconds, oldest first, and values.

    ``since_s`` is the first sample's time, whether or not that sample is any good.
    """

    name: str
    pod: str
    model: str
    since_s: float
    times_s: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one Prometheus knew at ``at_s``, its own clock."""

    at_s: float
    window_s: float
    graphs: Mapping[GraphKey, tuple[Series, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoSnapshot:
    """Why there are no samples. ``reason`` is one CamelCase word."""

    reason: str
    cause: str


def graph_key(namespace: str, dynamo_namespace: str) -> GraphKey:
    """Return the key of a deployment.

    Dynamo writes its namespaces with ``-`` or with ``_``, and a pod's label, from which the
    series has it, holds no more than 63 characters.
    """
    return GraphKey(namespace, dynamo_namespace.replace("_", "-")[:MAX_LABEL_CHARS].rstrip("-."))


def read(result: Sequence[Mapping[str, Any]], at_s: float, window_s: float) -> Snapshot:
    """Read the ``result`` of a range selector.

    Raises:
        ValueError, KeyError, TypeError: the answer is not what Prometheus's API promises.
    """
    chosen: dict[GraphKey, dict[tuple[object, ...], Series]] = {}
    for entry in result:
        labels: Mapping[str, str] = entry["metric"]
        series = _series(labels, entry["values"])
        graph = graph_key(labels.get("namespace", ""), labels.get("dynamo_namespace", ""))
        copies = chosen.setdefault(graph, {})
        identity = (series.name, series.pod, *_own(labels))
        known = copies.get(identity)
        if series.times_s and (known is None or series.times_s[-1] > known.times_s[-1]):
            copies[identity] = series
    graphs = {graph: tuple(copies.values()) for graph, copies in chosen.items()}
    return Snapshot(at_s=at_s, window_s=window_s, graphs=graphs)


def _own(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(item for item in labels.items() if item[0] not in _ROUTE_LABELS)


def _series(labels: Mapping[str, str], samples: Sequence[Sequence[Any]]) -> Series:
    """Read one series without the samples that are no measurement: NaN, infinite, negative."""
    read_ = [(float(time), float(value)) for time, value in samples]
    good = [(time, value) for time, value in read_ if math.isfinite(value) and value >= 0]
    return Series(
        name=labels["__name__"],
        pod=labels.get("pod") or labels.get("instance", ""),
        model=labels.get("model", ""),
        since_s=read_[0][0] if read_ else math.inf,
        times_s=tuple(time for time, _ in good),
        values=tuple(value for _, value in good),
    )
