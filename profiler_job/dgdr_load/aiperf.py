"""AIPerf 0.13: how it is told what to do. Pure; ``runner`` runs it.

The configuration file is used and not flags, because only it can run several phases in one call.
"""

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from dgdr_load.load import LoadPhase, LoadSpec, Prompt, SyntheticPrompts

CHAT_PATH = "/v1/chat/completions"
PROMPTS_FILE = "prompts.jsonl"

# AIPerf's phase type "concurrency" waits for a free slot in a loop that keeps a whole core busy,
# which the engines beside it may need. One that looks for free slots at a rate sleeps in between.
FEWEST_LOOKS_PER_S = 100
LOOKS_PER_SLOT_PER_S = 10


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
            "dataset": _dataset(spec.prompts, folder),
            "phases": [_phase(phase, spec.grace_s) for phase in spec.phases],
            "artifacts": {"dir": str(folder), "summary": ["json"], "records": ["jsonl"]},
            # Both scrape every few seconds, from the CPU that the measurement needs.
            "serverMetrics": {"enabled": False},
            "gpuTelemetry": {"enabled": False},
        },
    }


def prompts_file(prompts: tuple[Prompt, ...]) -> str:
    """Return the content of the file with given prompts."""
    lines = [json.dumps({"text": p.text, "output_length": p.osl}) for p in prompts]
    return "\n".join(lines) + "\n"


def _endpoint(spec: LoadSpec) -> Mapping[str, Any]:
    # Every answer has to have the asked length, whatever the model would rather say.
    extra: dict[str, Any] = {"ignore_eos": True}
    if isinstance(spec.prompts, SyntheticPrompts):
        extra |= {"max_tokens": spec.prompts.osl, "min_tokens": spec.prompts.osl}
    return {
        "url": spec.url.rstrip("/") + CHAT_PATH,
        "type": "chat",
        "streaming": True,
        "timeout": spec.request_timeout_s,
        "connectionReuse": "pooled" if spec.reuse_connections else "never",
        # Otherwise the answer's text is tokenised again, and random tokens do not survive that.
        "useServerTokenCount": True,
        "extra": extra,
    }


def _dataset(prompts: SyntheticPrompts | tuple[Prompt, ...], folder: PurePath) -> Mapping[str, Any]:
    if not isinstance(prompts, SyntheticPrompts):
        return {
            "type": "file",
            "format": "single_turn",
            "path": str(folder / PROMPTS_FILE),
            "sampling": "sequential",
        }
    return {
        "type": "synthetic",
        "entries": prompts.entries,
        "sampling": "sequential",
        "prompts": {
            "isl": {"mean": prompts.isl, "stddev": 0},
            "osl": {"mean": prompts.osl, "stddev": 0},
        },
    }


def _phase(phase: LoadPhase, grace_s: float) -> Mapping[str, Any]:
    written: dict[str, Any] = {
        "name": phase.name,
        "kind": "warmup" if phase.warmup else "profiling",
    }
    if phase.concurrency is not None:
        written |= _slots(phase.concurrency)
    else:
        written |= {"type": "poisson", "rate": phase.request_rate_per_s}
    if phase.requests is None:
        # Without grace, requests in flight at the end are cut off and look lost.
        return written | {"duration": phase.duration_s, "gracePeriod": grace_s}
    return written | {"requests": phase.requests}


def _slots(concurrency: int) -> Mapping[str, Any]:
    """Return a phase with so many in flight; a slot that becomes free is filled within 10 ms."""
    looks_per_s = max(FEWEST_LOOKS_PER_S, LOOKS_PER_SLOT_PER_S * concurrency)
    return {"type": "constant", "rate": looks_per_s, "concurrency": concurrency}
