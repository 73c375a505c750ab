"""Records AIPerf's exports against the tiny server, for the tests of ``dgdr_load.results``.

Run it again when AIPerf's version changes:
``DGDR_AIPERF=.../aiperf python tests/unit/dgdr_load/record.py TOKENIZER_FOLDER``.
"""

import asyncio
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from dgdr_load.load import LoadPhase, LoadSpec, SyntheticPrompts
from dgdr_load.runner import run

HERE = Path(__file__).parent
PORT = 18555
URL = f"http://127.0.0.1:{PORT}"
KEPT_METRICS = (
    "time_to_first_token",
    "request_latency",
    "output_sequence_length",
    "inter_token_latency",
)
DROPPED = ("input_config", "run_info", "benchmark_id")


def waves(tokenizer: str) -> LoadSpec:
    """Prompts that are new at first, and known later."""
    phases = (
        LoadPhase(name="c1", concurrency=1, requests=5),
        LoadPhase(name="fill", concurrency=2, requests=3, warmup=True),
        LoadPhase(name="c4", concurrency=4, requests=16),
    )
    return _spec(tokenizer, phases)


def arrivals(tokenizer: str) -> LoadSpec:
    """Requests that arrive at a rate, for a time."""
    phase = LoadPhase(name="rate", request_rate_per_s=5, duration_s=4)
    return _spec(tokenizer, (phase,))


def _spec(tokenizer: str, phases: tuple[LoadPhase, ...]) -> LoadSpec:
    return LoadSpec(
        url=URL,
        model="model",
        tokenizer=tokenizer,
        prompts=SyntheticPrompts(isl=64, osl=16, entries=8),
        phases=phases,
        seed=3,
        grace_s=3,
    )


CASES = {
    "waves": (waves, []),
    "hanging": (arrivals, ["--hang-every", "9"]),
    "failing": (arrivals, ["--fail-every", "6"]),
}


async def record(case: str, tokenizer: str) -> None:
    build, flags = CASES[case]
    server = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "tiny_server.py"), "--port", str(PORT), *flags
    )
    await asyncio.sleep(1)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for result in await run(build(tokenizer), Path(scratch)):
                print(case, result)
            keep(Path(scratch), HERE / "exports" / case)
        finally:
            server.terminate()
            await server.wait()


def keep(source: Path, target: Path) -> None:
    """Copy what the parser reads, without paths and host names of the recording machine."""
    shutil.rmtree(target, ignore_errors=True)
    files = [*source.glob("phases/*/profile_export_aiperf.json")]
    for file in files or [source / "profile_export_aiperf.json"]:
        export = {k: v for k, v in json.loads(file.read_text()).items() if k not in DROPPED}
        write(target / file.relative_to(source), json.dumps(export, indent=1) + "\n")
    records = source / "profile_export.jsonl"
    if records.exists():
        lines = [slim(json.loads(line)) for line in records.read_text().splitlines()]
        write(target / records.name, "\n".join(map(json.dumps, lines)) + "\n")
    log = (source / "logs" / "aiperf.log").read_text()
    lines = [line for line in log.splitlines() if re.search(r"Phase \S+ \(", line)]
    write(target / "logs" / "aiperf.log", "\n".join(lines) + "\n")


def slim(record: dict[str, Any]) -> dict[str, Any]:
    """Leave out the fifty metrics of a request that nobody reads."""
    metrics = {k: v for k, v in record["metrics"].items() if k in KEPT_METRICS}
    return {**record, "metrics": metrics}


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


if __name__ == "__main__":
    for name in sys.argv[2:] or CASES:
        asyncio.run(record(name, sys.argv[1]))
