"""What vLLM and Dynamo say in Prometheus' text format. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SAMPLE = re.compile(r"^(?P<name>[\w:]+)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

BY_SOURCE = "vllm:prompt_tokens_by_source_total"
CACHE_CONFIG = "vllm:cache_config_info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One line."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTokens:
    """Prompt tokens of one engine since it started, by where their keys and values come from."""

    computed: int
    cached: int
    transferred: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.computed + self.cached + self.transferred


def samples(text: str) -> tuple[Sample, ...]:
    """Return every sample of a page."""
    return tuple(_samples(text))


def _samples(text: str) -> Iterator[Sample]:
    for line in text.splitlines():
        found = _SAMPLE.match(line)
        if found:
            labels = dict(_LABEL.findall(found["labels"] or ""))
            yield Sample(name=found["name"], labels=labels, value=float(found["value"]))


def total(page: tuple[Sample, ...], name: str, **labels: str) -> float | None:
    """Return the sum of all series of a name with these labels; None where there is none."""
    found = [s.value for s in page if s.name == name and labels.items() <= s.labels.items()]
    return sum(found) if found else None


def prompt_tokens(page: tuple[Sample, ...]) -> PromptTokens:
    """Return where an engine's prompt tokens came from.

    Raises:
        ValueError: the page is no vLLM's.
    """
    return PromptTokens(
        computed=_tokens(page, "local_compute"),
        cached=_tokens(page, "local_cache_hit"),
        transferred=_tokens(page, "external_kv_transfer"),
    )


def kv_capacity_tokens(page: tuple[Sample, ...]) -> int | None:
    """Return what the KV cache holds, in vLLM's own words; None where it does not say."""
    for sample in page:
        if sample.name == CACHE_CONFIG:
            return int(sample.labels["num_gpu_blocks"]) * int(sample.labels["block_size"])
    return None


def _tokens(page: tuple[Sample, ...], source: str) -> int:
    found = total(page, BY_SOURCE, source=source)
    if found is None:
        raise ValueError(f"no {BY_SOURCE} with source {source}")
    return int(found)
