"""Named PromQL templates with declared parameters, and the names of Dynamo's metrics.

The planner reads raw samples (a range selector) and adds them up itself, in ``measure``, rather
than asking for ``increase()``. Over the short windows of a planner ``increase()`` guesses: it
extrapolates to the window's edges, drops the first value of a counter that has just appeared, and
looks the same after a gap in scraping as after a quiet time. Raw samples tell all of these apart,
and one query serves every planner of a Prometheus.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from string import Formatter

PREFIX = "dynamo_frontend_"
STARTED = f"{PREFIX}requests_started_total"
COMPLETED = f"{PREFIX}requests_total"
IN_FLIGHT = f"{PREFIX}inflight_requests"
TTFT = f"{PREFIX}time_to_first_token_seconds"
ITL = f"{PREFIX}inter_token_latency_seconds"
DURATION = f"{PREFIX}request_duration_seconds"
ISL = f"{PREFIX}input_sequence_tokens"
OSL = f"{PREFIX}output_sequence_tokens"
HISTOGRAMS = (TTFT, ITL, DURATION, ISL, OSL)
# Written from the frontend's start, or from a model's registration, whether or not there is load:
# they prove that a frontend was scraped.
ALIVE = f"{PREFIX}disconnected_clients"
MODEL_KNOWN = f"{PREFIX}model_context_length"

PLAIN = (STARTED, COMPLETED, IN_FLIGHT, ALIVE, MODEL_KNOWN)
METRICS = (*PLAIN, *(f"{name}_{part}" for name in HISTOGRAMS for part in ("sum", "count")))

# Four samples make three steps: fewer are noise, or one missed scrape away from nothing.
SCRAPES_PER_WINDOW = 4


@dataclass(frozen=True, slots=True)
class Template:
    """A query with named parameters, each of them a duration, a string or a list of strings."""

    name: str
    text: str

    @property
    def parameters(self) -> frozenset[str]:
        """Names of the parameters that ``render`` needs."""
        return frozenset(field for _, field, _, _ in Formatter().parse(self.text) if field)

    def render(self, **values: str | float | Iterable[str]) -> str:
        """Fill the parameters in, escaped.

        Raises:
            TypeError: a parameter is missing, or is none of the template's.
        """
        if values.keys() != self.parameters:
            given, wanted = sorted(values), sorted(self.parameters)
            raise TypeError(f"query {self.name} takes {wanted}, not {given}")
        return self.text.format_map({key: _escaped(value) for key, value in values.items()})


FRONTEND_SAMPLES = Template(
    "frontend_samples",
    '{{__name__=~"{metrics}",namespace=~"{namespaces}",dynamo_namespace!=""}}[{window}]',
)
"""Samples of all frontends of these namespaces in the window."""

SERVER_TIME = Template("server_time", "time()")
"""The clock that stamped the samples; ours may differ."""


def frontend_samples(namespaces: Iterable[str], window_s: float) -> str:
    """Ask for the samples of all frontends; no namespaces are all namespaces."""
    listed = tuple(namespaces)
    return FRONTEND_SAMPLES.render(
        metrics=METRICS, namespaces=listed or _Pattern(".*"), window=window_s
    )


def window_s(interval_s: float, scrape_interval_s: float) -> float:
    """Length of the window that a planner of this interval looks at."""
    return max(interval_s, SCRAPES_PER_WINDOW * scrape_interval_s)


class _Pattern(str):
    """A regular expression, not to be escaped."""


def _escaped(value: str | float | Iterable[str]) -> str:
    match value:
        case _Pattern():
            return value
        case str():
            return _quoted(value)
        case int() | float():
            return f"{round(value * 1000)}ms"
        case _:
            return "|".join(_quoted(re.escape(one)) for one in value)


def _quoted(text: str) -> str:
    """Escape for a double-quoted PromQL string, which reads escapes like Go."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
