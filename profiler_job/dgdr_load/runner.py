"""Runs AIPerf as a child process and reads what it leaves behind."""

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dgdr_load import aiperf
from dgdr_load.load import LoadPhase, LoadSpec, Prompt, SyntheticPrompts
from dgdr_load.results import Exports, LoadResult, UnreadableExport, parse

AIPERF_ENV = "DGDR_AIPERF"
"""Environment variable with the path of AIPerf's executable."""
DEFAULT_AIPERF = "aiperf"

EXPORT_FILE = "profile_export_aiperf.json"
LOG_TAIL_LINES = 8
STOP_GRACE_S = 10.0
# Start-up and post-processing took 10-20 s on a busy machine of two cores.
OVERHEAD_S = 120.0
# Five times slower than it makes synthetic prompts on two busy cores.
MADE_TOKENS_PER_S = 100_000
# A request in a long queue: far above what any phase of ours should see, unless its time-out says
# that requests take long; they are cut off at several times what is expected of them.
ASSUMED_REQUEST_S = 120.0
EXPECTED_SHARE = 0.2


class LoadFailed(Exception):
    """AIPerf did not produce a result; the message ends with its own last words."""


async def run(spec: LoadSpec, folder: Path, executable: str | None = None) -> list[LoadResult]:
    """Drive ``spec`` and return one result per phase; AIPerf's files stay in ``folder``.

    Raises:
        LoadFailed: AIPerf is missing, failed, or ran past its deadline.
    """
    program = executable or os.environ.get(AIPERF_ENV, DEFAULT_AIPERF)
    arguments = aiperf.command(program, _write_config(spec, folder))
    output = await _run(arguments, folder, deadline_s(spec))
    try:
        return list(parse(spec, read_exports(folder, spec.phases)))
    except (UnreadableExport, OSError) as exc:
        raise LoadFailed(f"{exc}; AIPerf said: {_tail(output)}") from exc


def _write_config(spec: LoadSpec, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "aiperf-config.json"
    file.write_text(json.dumps(aiperf.config(spec, folder), indent=1))
    if not isinstance(spec.prompts, SyntheticPrompts):
        (folder / aiperf.PROMPTS_FILE).write_text(aiperf.prompts_file(spec.prompts))
    return file


def deadline_s(spec: LoadSpec) -> float:
    """Return the time after which AIPerf must have ended by itself."""
    sending_s = sum(_phase_limit_s(phase, spec) for phase in spec.phases)
    return OVERHEAD_S + _making_s(spec.prompts) + sending_s


def _making_s(prompts: SyntheticPrompts | tuple[Prompt, ...]) -> float:
    if not isinstance(prompts, SyntheticPrompts):
        return 0.0
    return prompts.entries * prompts.isl / MADE_TOKENS_PER_S


def _phase_limit_s(phase: LoadPhase, spec: LoadSpec) -> float:
    if phase.duration_s is not None:
        return phase.duration_s + spec.grace_s
    if phase.request_rate_per_s is not None:
        return (phase.requests or 0) / phase.request_rate_per_s + spec.request_timeout_s
    waves = -(-(phase.requests or 0) // (phase.concurrency or 1))
    timeout_s = spec.request_timeout_s
    return waves * max(min(timeout_s, ASSUMED_REQUEST_S), EXPECTED_SHARE * timeout_s)


def read_exports(folder: Path, phases: Sequence[LoadPhase]) -> Exports:
    """Read AIPerf's files.

    A single phase is exported to the top only, several have a folder each.
    """
    whole = folder / EXPORT_FILE
    files = {p.name: folder / "phases" / p.name / EXPORT_FILE for p in phases}
    if len(phases) == 1 and not files[phases[0].name].exists():
        files = {phases[0].name: whole}
    records = folder / "profile_export.jsonl"
    return Exports(
        phases={name: _text(file) for name, file in files.items() if file.exists()},
        records=_text(records) if records.exists() else "",
        log=_text(folder / "logs" / "aiperf.log"),
    )


def _text(file: Path) -> str:
    """Read a file in which an engine's words may have been cut in the middle of a character."""
    return file.read_text(encoding="utf-8", errors="replace")


async def _run(arguments: Sequence[str], folder: Path, limit_s: float) -> str:
    with tempfile.TemporaryDirectory(prefix="aiperf-home-") as home:
        try:
            child = await asyncio.create_subprocess_exec(
                *arguments,
                cwd=folder,
                env=_environment(home),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as exc:
            raise LoadFailed(
                f"cannot start {arguments[0]}: {exc}; set {AIPERF_ENV} to AIPerf's executable"
            ) from exc
        try:
            output = await asyncio.wait_for(child.stdout.read(), limit_s) if child.stdout else b""
            code = await child.wait()
        except TimeoutError as exc:
            raise LoadFailed(f"AIPerf did not end within {limit_s:.0f} s") from exc
        finally:
            await _stop(child)
    text = output.decode(errors="replace")
    if code != 0:
        raise LoadFailed(f"AIPerf ended with code {code}: {_tail(text)}")
    return text


def _environment(home: str) -> Mapping[str, str]:
    """Return the child's environment: a home to write in, and no hub switch.

    An AIPerf that is ended leaves its mapped files where temporary files go, so they go home too.
    It refuses a tokenizer folder when ``HF_HUB_OFFLINE`` is set.
    """
    kept = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "PYTHONPATH")}
    return kept | {"HOME": home, "TMPDIR": home, "NO_COLOR": "1"}


async def _stop(child: asyncio.subprocess.Process) -> None:
    """End AIPerf with all its services, which share its process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), STOP_GRACE_S)
            if number is signal.SIGKILL or not _group_alive(child.pid):
                return


def _group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _tail(text: str) -> str:
    """Return the last words, without the frames that AIPerf draws around them."""
    lines = [line.strip(" │╭╮╰╯─") for line in text.splitlines()]
    return " | ".join([line for line in lines if line][-LOG_TAIL_LINES:])
