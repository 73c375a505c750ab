"""AIPerf 0.13: how it is told what to do. Pure; ``runner`` runs it.

The configuration file is used and not flags, because only it can run several phases in one call.
"""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from dgdr_load.load import LoadPhase, LoadSpec

CHAT_PATH = "/v1/chat/completions"


def command(executable: str, config_file: PurePath) -> list[str]:
    """Return the command line that runs a configuration file."""
    return [executable, "profile", "--config", str(config_file), "--ui", "none"]


def config(spec: LoadSpec, folder: PurePath) -> Mapping[str, Any]:
    """Return AIPerf's configuration for ``spec``; exports go to ``folder``."""
    return {
        "schemaVersion": "2.0",
        "randomSeed": spec.seed,
        "benchmark": {
            "model": spec.model,
            "endpoint": _endpoint(spec),
            "tokenizer": {"name": spec.tokenizer},
            "dataset": _dataset(spec),
            "phases": [_phase(phase, spec.grace_s) for phase in spec.phases],
            "artifacts": {"dir": str(folder), "summary": ["json"], "records": ["jsonl"]},
            # Both scrape every few seconds, from the CPU that the measurement needs.
            "serverMetrics": {"enabled": False},
            "gpuTelemetry": {"enabled": False},
        },
    }


def _endpoint(spec: LoadSpec) -> Mapping[str, Any]:
    return {
        "url": spec.url.rstrip("/") + CHAT_PATH,
        "type": "chat",
        "streaming": True,
        "timeout": spec.request_timeout_s,
        # Otherwise the answer's text is tokenised again, and random tokens do not survive that.
        "useServerTokenCount": True,
        # Every answer has to have the asked length, whatever the model would rather say.
        "extra": {"ignore_eos": True, "max_tokens": spec.osl, "min_tokens": spec.osl},
    }


def _dataset(spec: LoadSpec) -> Mapping[str, Any]:
    return {
        "type": "synthetic",
        "entries": spec.dataset_entries,
        "sampling": "sequential",
        "prompts": {
            "isl": {"mean": spec.isl, "stddev": 0},
            "osl": {"mean": spec.osl, "stddev": 0},
        },
    }


def _phase(phase: LoadPhase, grace_s: float) -> Mapping[str, Any]:
    written: dict[str, Any] = {
        "name": phase.name,
        "kind": "warmup" if phase.warmup else "profiling",
    }
    if phase.request_rate_per_s is None:
        written |= {"type": "concurrency", "concurrency": phase.concurrency}
    else:
        written |= {"type": "poisson", "rate": phase.request_rate_per_s}
    if phase.requests is None:
        # Without grace, requests in flight at the end are cut off and look lost.
        return written | {"duration": phase.duration_s, "gracePeriod": grace_s}
    return written | {"requests": phase.requests}
