"""``python -m dgdr_profiler --request FILE``: the profiling Job.

Exit codes: 0 when the result is stored; 2 when the request itself cannot be served, which the
Job's podFailurePolicy does not retry; 1 for anything else, which it does. What was measured is
stored at once, so a retry goes on where this pod stopped.
"""

import argparse
import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from dgdr_api.effective import effective
from dgdr_api.problem import from_validation, summary
from dgdr_api.request import ProfilingRequest
from dgdr_profiler.adapters.deployments import KubeDeployments
from dgdr_profiler.adapters.hub import Hub
from dgdr_profiler.adapters.kube import CONFIG_MAP, DGD, ClusterError, Kube
from dgdr_profiler.adapters.load import Aiperf
from dgdr_profiler.adapters.model_files import read_model
from dgdr_profiler.adapters.records import KubeRecords
from dgdr_profiler.adapters.waiting import Patience
from dgdr_profiler.core.curves import TooFewPoints
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.known_model import KnownModel
from dgdr_profiler.ports import Show
from dgdr_profiler.prepare import Prepared, prepare
from dgdr_profiler.report.result import result
from dgdr_profiler.run import NothingMeasured, Run

OK, RETRYABLE, HOPELESS = 0, 1, 2

TOKENIZER_ENV = "DGDR_TOKENIZER"
"""Folder with any tokenizer: AIPerf loads one, although given prompts make no use of it."""
DEFAULT_TOKENIZER = "/model"

logger = logging.getLogger("dgdr_profiler")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the Job and return its exit code."""
    parser = argparse.ArgumentParser(prog="dgdr_profiler", description=__doc__)
    parser.add_argument("--request", type=Path, required=True, help="file with the request")
    parser.add_argument("--work-dir", type=Path, default=Path("/data"), help="for AIPerf's files")
    chosen = parser.parse_args(arguments)
    level = os.environ.get("DGDR_LOG_LEVEL", "INFO")
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        request = ProfilingRequest.from_text(chosen.request.read_text())
    except ValidationError as exc:
        logger.error("%s: %s", chosen.request, summary(from_validation(exc)))
        return HOPELESS
    return asyncio.run(_until_stopped(request, chosen.work_dir))


async def _until_stopped(request: ProfilingRequest, work_dir: Path) -> int:
    """Run until done or until told to stop; what is stored stays for the next pod."""
    work = asyncio.create_task(_work(request, work_dir))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        logger.warning("told to stop; measured points are stored, a new pod goes on from them")
        return RETRYABLE


async def _work(request: ProfilingRequest, work_dir: Path) -> int:
    try:
        kube = await Kube.connect(request.namespace, request.dgd_api_version or DGD.version)
        records = KubeRecords(kube, request)
        await records.open(datetime.now(UTC))
    except ClusterError as exc:
        logger.error("%s", exc)
        return RETRYABLE
    code, error = await _outcome(request, work_dir, kube, records)
    if error:
        logger.error("%s", error)
        with contextlib.suppress(ClusterError):
            await records.fail(error)
    return code


async def _outcome(
    request: ProfilingRequest, work_dir: Path, kube: Kube, records: KubeRecords
) -> tuple[int, str]:
    """Return the exit code, and what went wrong."""
    try:
        known = await _known_model(request, records.show)
        prepared = prepare(request, await _profiles(kube, request), known)
        await _profile(request, prepared, work_dir, kube, records)
    except (InvalidRequest, NothingMeasured, TooFewPoints) as exc:
        # Each candidate has had its own tries: another pod would only hold the GPUs once more.
        return HOPELESS, str(exc)
    except ClusterError as exc:
        return RETRYABLE, str(exc)
    except Exception as exc:
        # The top of the pass: a user must read in the status what went wrong.
        logger.exception("unexpected")
        return RETRYABLE, f"{type(exc).__name__}: {exc}"
    return OK, ""


async def _profile(
    request: ProfilingRequest,
    prepared: Prepared,
    work_dir: Path,
    kube: Kube,
    records: KubeRecords,
) -> None:
    policy = request.policy
    patience = Patience(ready_s=policy.candidate_timeout_s, schedule_s=policy.schedule_timeout_s)
    run = Run(
        plan=prepared.plan,
        graphs=dict(prepared.graphs),
        model=prepared.model,
        deployments=KubeDeployments(
            kube, request.owner_reference, patience, prepared.expected, prepared.image_fields
        ),
        load=Aiperf(os.environ.get(TOKENIZER_ENV, DEFAULT_TOKENIZER), work_dir),
        records=records,
    )
    chosen = await run.measure_all()
    done = result(request, prepared.setting, prepared.plan, run.state, chosen, run.ledger())
    await records.succeed(done)
    logger.info("done: %s", done.message)


async def _known_model(request: ProfilingRequest, show: Show) -> KnownModel | None:
    """Return what the model's files say; None for mockers, which load no model.

    Raises:
        InvalidRequest: they describe no model, and the policy does not say what it is.
    """
    if request.policy.uses_mocker:
        return None
    try:
        found = await read_model(effective(request.spec), Hub.of(os.environ), show)
    except InvalidRequest as exc:
        if request.policy.model is None:
            raise
        found = KnownModel(tried=(str(exc),))
    logger.info("%s", found)
    return found


async def _profiles(kube: Kube, request: ProfilingRequest) -> dict[str, str] | None:
    """Return digests of the mockers' performance data, by key; None for real engines.

    Raises:
        InvalidRequest: the ConfigMap does not exist.
    """
    if not request.policy.uses_mocker:
        return None
    name = request.policy.mocker_data
    found = await kube.get(CONFIG_MAP, name)
    if found is None:
        raise InvalidRequest(
            f"ProfilingPolicy spec.mocker.profilesConfigMap: no ConfigMap {name} in namespace "
            f"{request.namespace}; create it with the performance data of each mapping"
        )
    stored: dict[str, str] = found.get("binaryData") or {}
    return {key: hashlib.sha256(data.encode()).hexdigest() for key, data in stored.items()}


if __name__ == "__main__":
    sys.exit(main())
