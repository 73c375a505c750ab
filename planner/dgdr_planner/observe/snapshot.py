"""The samples that the queries returned, by deployment."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dgdr_planner.observe.histogram import Histogram
from dgdr_planner.observe.queries import ALIVE, ROUTE_LABELS

# A name and what this module knows about a series; everything else says what it counts.
_KNOWN_LABELS = frozenset({"__name__", *ROUTE_LABELS})
# Labels that are never a target's, should the series that names the target ever get one.
_OWN_LABELS = frozenset({"__name__", "model", "status", "request_type", "error_type"})
_EXPORTED = "exported_"
MAX_LABEL_CHARS = 63
# Larger numbers cannot count by one: a double has 53 bits. They are no measurement.
LARGEST_VALUE = 2.0**53

Labels = Mapping[str, str]
Target = frozenset[tuple[str, str]]


class GraphKey(NamedTuple):
    """Which deployment a series belongs to."""

    namespace: str
    dynamo_namespace: str


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of one series: Prometheus's clock in seconds, oldest first, and values.

    ``since_s`` and ``until_s`` are the first and last sample's times, whether or not those
    samples are any good; ``times_s`` has the good ones only and may be empty.
    """

    name: str
    pod: str
    model: str
    since_s: float
    until_s: float
    times_s: tuple[float, ...]
    values: tuple[float, ...]


Histograms = Mapping[GraphKey, Mapping[str, Histogram]]


HISTORY_WAITS = "HistoryWaits"
"""That others are read first, which is no failure."""


@dataclass(frozen=True, slots=True)
class NoSnapshot:
    """Why there are no samples. ``reason`` is one CamelCase word."""

    reason: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one Prometheus knew at ``at_s``, its own clock.

    ``histograms`` is keyed by deployment and by the histogram's name; a reason stands for those
    that could not be had, while the samples could.
    """

    at_s: float
    window_s: float
    graphs: Mapping[GraphKey, tuple[Series, ...]] = field(default_factory=dict)
    histograms: Histograms | NoSnapshot = field(default_factory=dict)


def graph_key(namespace: str, dynamo_namespace: str) -> GraphKey:
    """Return the key of a deployment.

    Dynamo writes its namespaces with ``-`` or with ``_``, and a pod's label, from which the
    series has it, holds no more than 63 characters.
    """
    return GraphKey(namespace, dynamo_namespace.replace("_", "-")[:MAX_LABEL_CHARS].rstrip("-."))


def spellings(dynamo_namespace: str) -> tuple[str, ...]:
    """Return the ways in which a deployment's label may be written."""
    cut = dynamo_namespace[:MAX_LABEL_CHARS].rstrip("-.")
    return tuple(
        sorted({dynamo_namespace, cut, dynamo_namespace.replace("-", "_"), cut.replace("-", "_")})
    )


def read(
    result: Sequence[Mapping[str, Any]],
    at_s: float,
    window_s: float,
    histograms: Histograms | NoSnapshot | None = None,
) -> Snapshot:
    """Read the ``result`` of a range selector.

    Raises:
        ValueError, KeyError, TypeError: the answer is not what Prometheus's API promises.
    """
    by_pod: dict[tuple[GraphKey, str], list[Mapping[str, Any]]] = defaultdict(list)
    for entry in result:
        labels: Labels = entry["metric"]
        by_pod[_graph(labels), _pod(labels)].append(entry)
    graphs: dict[GraphKey, list[Series]] = defaultdict(list)
    for (graph, _), entries in by_pod.items():
        graphs[graph] += _without_copies(entries, window_s)
    return Snapshot(
        at_s=at_s,
        window_s=window_s,
        graphs={graph: tuple(series) for graph, series in graphs.items() if series},
        histograms={} if histograms is None else histograms,
    )


def read_histograms(
    result: Sequence[Mapping[str, Any]],
) -> Histograms:
    """Read the instant ``result`` of the bucket query.

    Raises:
        ValueError, KeyError, TypeError: the answer is not what Prometheus's API promises.
    """
    found: dict[GraphKey, dict[str, list[tuple[float, float]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for entry in result:
        labels: Labels = entry["metric"]
        bound, grown = _number(labels["le"]), _number(entry["value"][1])
        if not math.isnan(bound) and _is_good(grown):
            found[_graph(labels)][labels["histogram"]].append((bound, grown))
    return {
        graph: {name: made for name, pairs in own.items() if (made := Histogram.of(pairs))}
        for graph, own in found.items()
    }


def _graph(labels: Labels) -> GraphKey:
    return graph_key(labels.get("namespace", ""), labels.get("dynamo_namespace", ""))


def _pod(labels: Labels) -> str:
    return labels.get("pod") or labels.get("instance", "")


def _without_copies(entries: Sequence[Mapping[str, Any]], window_s: float) -> Iterable[Series]:
    """Read the series of one pod, each once, however often the pod is scraped.

    Whole targets are chosen, not single series: two targets see the pod at different times, and a
    mixture of both would look like counters that appear late.
    """
    targets = _targets(entries)
    chosen = _best(targets, window_s)
    copies: dict[object, Series] = {}
    for entry in entries:
        labels: Labels = entry["metric"]
        target = max((one for one in targets if one <= labels.items()), key=len, default=None)
        if target is not None and target != chosen:
            continue
        series = _series(labels, entry["values"])
        identity = (series.name, _own(labels, target))
        known = copies.get(identity)
        if known is None or series.until_s > known.until_s:
            copies[identity] = series
    return copies.values()


def _targets(entries: Sequence[Mapping[str, Any]]) -> dict[Target, tuple[float, int]]:
    """Return the labels of each target that saw the pod, when last and how often."""
    names = {name for entry in entries for name in entry["metric"]}
    # An exporter's label that had to move aside shows that the target has one of that name.
    own = {name for name in _OWN_LABELS if f"{_EXPORTED}{name}" not in names}
    seen: dict[Target, tuple[float, int]] = {}
    for entry in entries:
        if entry["metric"]["__name__"] == ALIVE and entry["values"]:
            items = entry["metric"].items()
            target = frozenset(item for item in items if item[0] not in own)
            seen[target] = (float(entry["values"][-1][0]), len(entry["values"]))
    return seen


def _best(targets: Mapping[Target, tuple[float, int]], window_s: float) -> Target | None:
    """Return the target that saw the pod most often, of those that still see it."""
    newest_s = max((last_s for last_s, _ in targets.values()), default=0.0)
    fresh = [one for one, (last_s, _) in targets.items() if newest_s - last_s <= window_s / 4]
    return max(fresh, key=lambda one: (targets[one][1], sorted(one)), default=None)


def _own(labels: Labels, target: Target | None) -> frozenset[tuple[str, str]]:
    """Return the labels that the exporter gave, under the names that it gave them."""
    if target is not None:
        strange = labels.items() - target
        return frozenset(
            (key.removeprefix(_EXPORTED), value) for key, value in strange if key != "__name__"
        )
    return frozenset(item for item in labels.items() if item[0] not in _KNOWN_LABELS)


def _series(labels: Labels, samples: Sequence[Sequence[Any]]) -> Series:
    """Read one series without the samples that are no measurement."""
    read_ = [(float(time), _number(value)) for time, value in samples]
    good = [(time, value) for time, value in read_ if _is_good(value)]
    return Series(
        name=labels["__name__"],
        pod=_pod(labels),
        model=labels.get(f"{_EXPORTED}model") or labels.get("model", ""),
        since_s=read_[0][0] if read_ else math.inf,
        until_s=read_[-1][0] if read_ else -math.inf,
        times_s=tuple(time for time, _ in good),
        values=tuple(value for _, value in good),
    )


def _number(text: Any) -> float:
    """Read a value as Prometheus writes it."""
    return float(text)


def _is_good(value: float) -> bool:
    return math.isfinite(value) and 0 <= value <= LARGEST_VALUE
