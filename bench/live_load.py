"""Runs in a pod: drives phases of load with AIPerf and prints one line per request.

``python3 -c "$(cat live_load.py)" JSON``; each line is [phase, sent_s, ttft_ms, itl_ms], latencies
null where no answer came.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dgdr_load.load import LoadPhase, LoadSpec, SyntheticPrompts
from dgdr_load.runner import run


def spec_of(asked: dict[str, Any]) -> LoadSpec:
    rates, each_s = asked["rates_per_s"], asked["phase_s"]
    # More prompts than requests: a prompt that comes twice is in the prefix cache.
    entries = round(1.3 * sum(rates) * each_s)
    return LoadSpec(
        url=asked["url"],
        model="model",
        tokenizer="/model",
        prompts=SyntheticPrompts(isl=asked["isl"], osl=asked["osl"], entries=entries),
        phases=tuple(
            LoadPhase(name=f"p{n}", request_rate_per_s=rate, duration_s=each_s)
            for n, rate in enumerate(rates)
        ),
        seed=time.time_ns() // 1_000_000 % 2**31,
    )


def line_of(record: dict[str, Any]) -> list[Any]:
    about, metrics = record["metadata"], record.get("metrics", {})
    latencies = [
        metrics.get(name, {}).get("value")
        for name in ("time_to_first_token", "inter_token_latency")
    ]
    return [about["phase_name"], about["request_start_ns"] / 1e9, *latencies]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(spec_of(json.loads(sys.argv[1])), Path(folder)))
        text = (Path(folder) / "profile_export.jsonl").read_text()
        for line in text.splitlines():
            print(json.dumps(line_of(json.loads(line))))


main()
