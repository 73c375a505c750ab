"""Named PromQL templates with declared parameters, and the names of Dynamo's metrics.

Load and means come from raw samples (a range selector) that ``measure`` adds up itself, rather
than from ``increase()``. Over the short windows of a planner ``increase()`` guesses: it
extrapolates to the window's edges, drops the first value of a counter that has just appeared, and
looks the same after a gap in scraping as after a quiet time. Raw samples tell all of these apart.

Percentiles are ratios of buckets, to which none of that matters, and a frontend has three times
as many bucket series as others: they are added up by the server, one value a bucket. A snapshot
of every deployment is three queries, whatever the number of deployments and planners.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from string import Formatter

PREFIX = "dynamo_frontend_"
STARTED = f"{PREFIX}requests_started_total"
COMPLETED = f"{PREFIX}requests_total"
IN_FLIGHT = f"{PREFIX}inflight_requests"
QUEUED = f"{PREFIX}queued_requests"
TTFT = f"{PREFIX}time_to_first_token_seconds"
ITL = f"{PREFIX}inter_token_latency_seconds"
DURATION = f"{PREFIX}request_duration_seconds"
ISL = f"{PREFIX}input_sequence_tokens"
OSL = f"{PREFIX}output_sequence_tokens"
# Since Dynamo 1.6.
CACHED = f"{PREFIX}cached_tokens_sum"
HISTOGRAMS = (TTFT, ITL, DURATION, ISL, OSL)
BUCKETED = (TTFT, ITL, ISL, OSL)
# Written from the frontend's start, or from a model's registration, whether or not there is load:
# they prove that a frontend was scraped. The first has no label of its own, so all of its labels
# are the target's.
ALIVE = f"{PREFIX}disconnected_clients"
MODEL_KNOWN = f"{PREFIX}model_context_length"

PLAIN = (STARTED, COMPLETED, IN_FLIGHT, QUEUED, ALIVE, MODEL_KNOWN)
METRICS = (*PLAIN, *(f"{name}_{part}" for name in HISTOGRAMS for part in ("sum", "count")), CACHED)

# Labels that say by which way a series reached Prometheus, not what it counts.
ROUTE_LABELS = (
    *("instance", "job", "prometheus", "prometheus_replica", "replica", "cluster", "container"),
    *("service", "pod_ip", "receive", "tenant_id", "monitor"),
)

# Four samples make three steps: fewer are noise, or one missed scrape away from nothing.
SCRAPES_PER_WINDOW = 4
# Of a window of the past, how many of its scrapes must be there for its rate to be one.
LEAST_OF_PAST_SCRAPES = 0.7


@dataclass(frozen=True, slots=True)
class Name:
    """A metric's or a label's name, of ours: it stands in the query as it is."""

    text: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z_:][A-Za-z0-9_:]*", self.text):
            raise ValueError(f"{self.text!r} is no name of a metric or a label")


Parameter = str | float | Name | Iterable[str] | Iterable[Name]


@dataclass(frozen=True, slots=True)
class Template:
    """A query with named parameters: durations, numbers, names, strings or lists of strings."""

    name: str
    text: str

    @property
    def parameters(self) -> frozenset[str]:
        """Names of the parameters that ``render`` needs."""
        return frozenset(field for _, field, _, _ in Formatter().parse(self.text) if field)

    def render(self, **values: Parameter) -> str:
        """Fill the parameters in, escaped.

        Raises:
            TypeError: a parameter is missing, or is none of the template's.
        """
        if values.keys() != self.parameters:
            given, wanted = sorted(values), sorted(self.parameters)
            raise TypeError(f"query {self.name} takes {wanted}, not {given}")
        return self.text.format_map({key: _escaped(value) for key, value in values.items()})


SERVER_TIME = Template("server_time", "time()")
"""The clock that stamped the samples; ours may differ."""

FRONTEND_SAMPLES = Template(
    "frontend_samples",
    '{{__name__=~"{metrics}",namespace=~"{namespaces}",dynamo_namespace!=""}}[{window}]',
)
"""Samples of all frontends of these namespaces in the window."""

BUCKETS = Template(
    "buckets",
    "label_replace(sum by (namespace,dynamo_namespace,le) (max without ({routes}) (increase("
    '{metric}{{namespace=~"{namespaces}",dynamo_namespace!=""}}[{window}]'
    ') >= 0 < 1e15)), "histogram", "{histogram}", "", "")',
)
"""Growth of one histogram's buckets by deployment. The comparisons drop NaN, Inf and nonsense."""

PAST_RATE = Template(
    "past_rate",
    "label_replace((sum(max without ({routes}) (increase({started}{{{graph}}}[{window}])))"
    " or clamp_min(sum(max without ({routes}) (increase({completed}{{{graph}}}[{window}])))"
    " + (sum(max without ({routes}) (delta({in_flight}{{{graph}}}[{window}])))"
    " or vector(0)), 0)"
    " or 0 * sum(count_over_time({alive}{{{graph}}}[{window}]) >= 2)) / {seconds}"
    " and (max(count_over_time({alive}{{{graph}}}[{window}])) >= {fewest}),"
    ' "of", "rate", "", "")',
)
"""Requests started per second of one deployment; nothing where too few scrapes succeeded."""

PAST_MEAN = Template(
    "past_mean",
    "label_replace(sum(max without ({routes}) (increase({sum}{{{graph}}}[{window}])))"
    " / (sum(max without ({routes}) (increase({count}{{{graph}}}[{window}]))) > 0),"
    ' "of", "{of}", "", "")',
)
"""Mean of one histogram of one deployment; nothing where no request finished."""

PAST_BUCKETS = Template(
    "past_buckets",
    "label_replace(sum by (le) (max without ({routes}) (increase({metric}{{{graph}}}[{window}]))),"
    ' "of", "{of}", "", "")',
)
"""Growth of the buckets of one histogram of one deployment."""

GRAPH = Template("graph", 'namespace="{namespace}",dynamo_namespace=~"{spellings}"')
"""The selector of one deployment."""


def frontend_samples(
    namespaces: Iterable[str], window_s: float, metrics: Iterable[str] = METRICS
) -> str:
    """Ask for the samples of all frontends; no namespaces are all namespaces."""
    return FRONTEND_SAMPLES.render(
        metrics=tuple(metrics), namespaces=_listed(namespaces), window=Duration(window_s)
    )


def buckets(namespaces: Iterable[str], window_s: float) -> str:
    """Ask for the growth of all buckets of the histograms in ``BUCKETED``, as one query."""
    listed = _listed(namespaces)
    return " or ".join(
        BUCKETS.render(
            metric=Name(f"{histogram}_bucket"),
            histogram=histogram,
            namespaces=listed,
            window=Duration(window_s),
            routes=_ROUTES,
        )
        for histogram in BUCKETED
    )


def past_load(
    namespace: str, dynamo_namespaces: Iterable[str], window_s: float, scrape_interval_s: float
) -> str:
    """Ask for rate, prompt and answer lengths of one deployment, for a range query."""
    graph = selector(GRAPH.render(namespace=namespace, spellings=tuple(dynamo_namespaces)))
    window = Duration(window_s)
    fewest = max(2, int(LEAST_OF_PAST_SCRAPES * window_s / scrape_interval_s))
    rate = PAST_RATE.render(
        graph=graph,
        window=window,
        routes=_ROUTES,
        started=Name(STARTED),
        completed=Name(COMPLETED),
        in_flight=Name(IN_FLIGHT),
        alive=Name(ALIVE),
        seconds=window_s,
        fewest=float(fewest),
    )
    return " or ".join((rate, *_past_means(graph, window)))


def past_lengths(namespace: str, dynamo_namespaces: Iterable[str], window_s: float) -> str:
    """Ask how prompts and answers of one deployment were spread, for a range query."""
    graph = selector(GRAPH.render(namespace=namespace, spellings=tuple(dynamo_namespaces)))
    window = Duration(window_s)
    spread = (
        PAST_BUCKETS.render(
            graph=graph,
            window=window,
            routes=_ROUTES,
            metric=Name(f"{histogram}_bucket"),
            of=of,
        )
        for of, histogram in _LENGTHS
    )
    return " or ".join((*spread, *_past_means(graph, window)))


def _past_means(graph: str, window: float) -> Iterator[str]:
    return (
        PAST_MEAN.render(
            graph=graph,
            window=window,
            routes=_ROUTES,
            sum=Name(f"{histogram}_sum"),
            count=Name(f"{histogram}_count"),
            of=of,
        )
        for of, histogram in _LENGTHS
    )


def window_s(interval_s: float, scrape_interval_s: float) -> float:
    """Length of the window that a planner of this interval looks at."""
    return max(interval_s, SCRAPES_PER_WINDOW * scrape_interval_s)


class _Pattern(str):
    """A regular expression, not to be escaped."""


class _Selector(str):
    """A selector that another template rendered, so escaped already."""


def selector(rendered: str) -> str:
    """Return what stands in a query as it is: it was rendered, or is ours."""
    return _Selector(rendered)


class Duration(float):
    """Seconds that stand for a duration."""


_LENGTHS = (("isl", ISL), ("osl", OSL))
_ROUTES = tuple(Name(label) for label in ROUTE_LABELS)


def _listed(namespaces: Iterable[str]) -> tuple[str, ...] | _Pattern:
    return tuple(namespaces) or _Pattern(".*")


def _escaped(value: Parameter) -> str:
    match value:
        case Name():
            return value.text
        case _Pattern() | _Selector():
            return value
        case str():
            return _quoted(value)
        case Duration():
            return f"{round(value * 1000)}ms"
        case int() | float():
            return f"{value:.15g}"
        case _:
            return _joined(tuple(value))


def _joined(values: tuple[str | Name, ...]) -> str:
    names = [value.text for value in values if isinstance(value, Name)]
    strings = [_quoted(re.escape(value)) for value in values if isinstance(value, str)]
    return ",".join(names) or "|".join(strings)


def _quoted(text: str) -> str:
    """Escape for a double-quoted PromQL string, which reads escapes like Go."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
