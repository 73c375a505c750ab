"""What AIPerf measured, read from its exports. Pure; ``runner`` reads the files.

AIPerf 0.13 does not count a request that never ends as an error: only its log says how many were
sent. So the log is read too, and ``LoadResult.lost`` tells what the JSON leaves out.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from dgdr_load.load import LoadPhase, LoadSpec
from dgdr_load.steady import RequestTimes, Steady, steady

_PHASE_LINE = re.compile(
    r"Phase (?P<name>\S+) \(\w+\) (?P<what>sending complete|complete) \| (?P<counts>[^|]*)"
)
_COUNT = re.compile(r"(\w+)=(\d+(?:,\d{3})*)")


class UnreadableExport(Exception):
    """AIPerf's exports do not say what they should; the message says which and how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """A latency, in milliseconds."""

    avg: float
    p50: float
    p90: float
    p99: float
    min: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What one phase measured. Latencies are None when no request was answered.

    The tool's figures are passed on as they are, whatever nonsense they may be; only ``requests``
    and what is computed from them are known to be finite.
    """

    phase: str
    ttft_ms: Percentiles | None
    itl_ms: Percentiles | None
    effective_concurrency: float
    effective_decode_concurrency: float
    output_tokens_per_s: float
    isl_mean: float
    osl_mean: float
    sent: int
    completed: int
    errors: int
    cancelled: int
    duration_s: float
    steady: Steady | None = None
    requests: tuple[RequestTimes, ...] = ()
    error_messages: tuple[str, ...] = ()

    @property
    def lost(self) -> int:
        """Requests that were sent and not answered in full: failed, cut off or hung."""
        return self.sent - self.completed


@dataclass(frozen=True, slots=True, kw_only=True)
class Exports:
    """The texts of AIPerf's files: per-phase JSON by phase, the records, and its log."""

    phases: Mapping[str, str]
    records: str
    log: str


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Stat(_Model):
    avg: float = 0.0
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    min: float | None = None

    def percentiles(self) -> Percentiles:
        """Fill in the average where a metric of one value has no percentiles."""
        fill = self.avg
        return Percentiles(
            avg=fill,
            p50=fill if self.p50 is None else self.p50,
            p90=fill if self.p90 is None else self.p90,
            p99=fill if self.p99 is None else self.p99,
            min=fill if self.min is None else self.min,
        )


class _PhaseExport(_Model):
    time_to_first_token: _Stat | None = None
    inter_token_latency: _Stat | None = None
    effective_concurrency: _Stat = _Stat()
    effective_decode_concurrency: _Stat = _Stat()
    output_token_throughput: _Stat = _Stat()
    input_sequence_length: _Stat = _Stat()
    output_sequence_length: _Stat = _Stat()
    request_count: _Stat = _Stat()
    error_request_count: _Stat = _Stat()
    benchmark_duration: _Stat = _Stat()


class _Value(_Model):
    value: float


class _RecordMetrics(_Model):
    time_to_first_token: _Value | None = None
    request_latency: _Value | None = None
    output_sequence_length: _Value | None = None


class _ErrorDetails(_Model):
    code: int | None = None
    type: str | None = None
    message: str = ""


class _RecordMetadata(_Model):
    phase_name: str
    request_start_ns: int
    was_cancelled: bool = False


class _Record(_Model):
    metadata: _RecordMetadata
    metrics: _RecordMetrics = _RecordMetrics()
    error: _ErrorDetails | None = None

    def times(self) -> RequestTimes | None:
        """Return when things happened, or None for a request without an answer."""
        ttft, latency = self.metrics.time_to_first_token, self.metrics.request_latency
        osl = self.metrics.output_sequence_length
        if self.error or self.metadata.was_cancelled or not (ttft and latency and osl):
            return None
        if not all(math.isfinite(v.value) and v.value > 0 for v in (ttft, latency, osl)):
            return None
        sent_s = self.metadata.request_start_ns / 1e9
        return RequestTimes(
            sent_s=sent_s,
            first_token_s=sent_s + ttft.value / 1e3,
            last_token_s=sent_s + latency.value / 1e3,
            output_tokens=round(osl.value),
        )


def parse(spec: LoadSpec, exports: Exports) -> tuple[LoadResult, ...]:
    """Return the result of each phase, in the order of ``spec``.

    Raises:
        UnreadableExport: a phase, a count or a field is missing.
    """
    records = _records(exports.records)
    return tuple(
        _result(phase, exports, [r for r in records if r.metadata.phase_name == phase.name])
        for phase in spec.phases
    )


def _result(phase: LoadPhase, exports: Exports, records: Sequence[_Record]) -> LoadResult:
    export = _phase_export(phase.name, exports.phases)
    counts = _counts(phase.name, exports.log)
    times = [t for t in (r.times() for r in records) if t is not None]
    ttft, itl = export.time_to_first_token, export.inter_token_latency
    return LoadResult(
        phase=phase.name,
        ttft_ms=ttft.percentiles() if ttft else None,
        itl_ms=itl.percentiles() if itl else None,
        effective_concurrency=export.effective_concurrency.avg,
        effective_decode_concurrency=export.effective_decode_concurrency.avg,
        output_tokens_per_s=export.output_token_throughput.avg,
        isl_mean=export.input_sequence_length.avg,
        osl_mean=export.output_sequence_length.avg,
        sent=counts["sent"],
        completed=_count(phase.name, "request_count", export.request_count),
        errors=_count(phase.name, "error_request_count", export.error_request_count),
        cancelled=counts["cancelled"],
        duration_s=export.benchmark_duration.avg,
        steady=steady(times, phase.concurrency) if phase.concurrency else None,
        requests=tuple(times),
        error_messages=_error_messages(records),
    )


def _phase_export(name: str, phases: Mapping[str, str]) -> _PhaseExport:
    if name not in phases:
        raise UnreadableExport(f"AIPerf wrote no result for phase {name}")
    try:
        return _PhaseExport.model_validate_json(phases[name])
    except ValidationError as exc:
        raise UnreadableExport(f"AIPerf's result of phase {name} is unreadable: {exc}") from exc


def _count(phase: str, name: str, stat: _Stat) -> int:
    if not (math.isfinite(stat.avg) and stat.avg >= 0):
        raise UnreadableExport(f"AIPerf's result of phase {phase} has {name} {stat.avg}")
    return round(stat.avg)


def _records(text: str) -> tuple[_Record, ...]:
    """Read one record a line; one that cannot be read is left out, all of them are a failure.

    A line ends with a line feed and nothing else: error texts may have what Unicode calls a line
    separator in them.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    found = [record for line in lines if (record := _record(line)) is not None]
    if lines and not found:
        raise UnreadableExport(f"none of AIPerf's {len(lines)} records of requests is readable")
    return tuple(found)


def _record(line: str) -> _Record | None:
    try:
        return _Record.model_validate_json(line)
    except ValidationError:
        return None


def _counts(phase: str, log: str) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for line in _PHASE_LINE.finditer(log):
        if line["name"] == phase:
            found |= {key: int(n.replace(",", "")) for key, n in _COUNT.findall(line["counts"])}
    missing = {"sent", "completed", "cancelled"} - found.keys()
    if missing:
        raise UnreadableExport(
            f"AIPerf's log does not say {', '.join(sorted(missing))} of phase {phase}"
        )
    return found


def _error_messages(records: Sequence[_Record]) -> tuple[str, ...]:
    """Return the distinct errors, the most frequent first."""
    texts = [f"{r.error.code or r.error.type}: {r.error.message}" for r in records if r.error]
    return tuple(sorted(set(texts), key=lambda text: (-texts.count(text), text)))
