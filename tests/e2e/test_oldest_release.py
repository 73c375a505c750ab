"""The oldest release of Dynamo that is supported: profiled, deployed, read and drained.

The other tests run the newest one. Here the KV cache is sent over a slow network, so that its
transfer is most of the time to first token, and what was predicted without it is far off.
"""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from dgdr_api import names
from dgdr_profiler.engines.mocker import BLOCK_TOKENS
from hack.demo import load as loads
from hack.demo import request, scaling
from hack.demo.kube import Kube, condition, wait_for
from hack.mocker_profiles import ttft_ms
from support.e2e import NAMESPACE, card_of, workers
from support.oldest import DGDR, GB_PER_S, SPEEDUP_RATIO, ask
from support.profiled import output_of, report_of, transfer_ms

pytestmark = pytest.mark.e2e

DGD = names.dgd_name(DGDR)
URL = names.frontend_url(NAMESPACE, DGD)
ISL = 2048
TRANSFER_MS = transfer_ms(ISL, GB_PER_S)
LOAD_STARTS_S = 20.0
"""The load tool makes its prompts first; then it sends for 40 s."""


@pytest.fixture(scope="module")
def deployed(kube: Kube) -> Iterator[float]:
    """A DGDR of one candidate, profiled and deployed with the oldest release; the seconds.

    In a whole run it was asked for while something else had to be waited for.
    """
    began = time.monotonic()
    ask(kube)
    request.watch(
        kube, DGDR, NAMESPACE, until=request.in_phase("Deployed"), timeout_s=400, say=print
    )
    yield time.monotonic() - began
    kube.run("delete", "dgdr", DGDR, "--namespace", NAMESPACE)
    kube.run("delete", "dgd", DGD, "--namespace", NAMESPACE, "--ignore-not-found")


def test_one_candidate_was_measured(
    kube: Kube, deployed: float, figures: Callable[..., None]
) -> None:
    candidates = report_of(output_of(kube, DGDR, NAMESPACE))["candidates"]
    stays = {c["id"]: c["deployments"] for c in candidates}
    figures(deployed_after_s=round(deployed), stays=stays)
    assert set(stays) == {"p-tp1"}


@pytest.mark.usefixtures("deployed")
def test_workers_run_a_mocker_without_nats(kube: Kube) -> None:
    commands = [pod["spec"]["containers"][0]["command"] for pod in workers(kube, DGD)]
    assert commands == [["python3", "/opt/dgdr/mocker.py"]] * 2


@pytest.mark.usefixtures("deployed")
def test_workers_publish_the_limits_that_the_profiler_reads(kube: Kube) -> None:
    for pod in workers(kube, DGD):
        card = card_of(kube, pod)
        assert card.kv_block_tokens == BLOCK_TOKENS
        assert card.kv_capacity_tokens
        assert card.max_num_seqs == 256


@pytest.mark.usefixtures("deployed")
def test_the_predicted_time_to_first_token_is_the_one_that_is_served(
    kube: Kube, figures: Callable[..., None]
) -> None:
    selection = report_of(output_of(kube, DGDR, NAMESPACE))["selection"]
    predicted_ms = selection["prefill"]["ttftMs"]
    load = loads.Load(name="release", url=URL, rate_per_s=0.6, requests=12, isl=ISL, osl=32)
    loads.start_load(kube, load, NAMESPACE)
    result = loads.load_result(kube, load, NAMESPACE)
    served_ms = result["ttftMs"]["p50"]
    told_ms = ttft_ms(1, ISL) / SPEEDUP_RATIO
    figures(predicted_ms=predicted_ms, served_ms=served_ms, told_ms=told_ms, sent_ms=TRANSFER_MS)
    assert result["completed"] == result["sent"] == load.requests
    assert predicted_ms == pytest.approx(told_ms + TRANSFER_MS, rel=0.15)
    assert predicted_ms == pytest.approx(served_ms, rel=0.15)


@pytest.mark.usefixtures("deployed")
def test_the_planner_finds_its_metrics(kube: Kube) -> None:
    def available() -> str | None:
        found: str | None = condition(kube.get("slap", DGD, NAMESPACE), "MetricsAvailable").get(
            "status"
        )
        return found

    wait_for("metrics", lambda: available() == "True", timeout_s=60)


@pytest.mark.usefixtures("deployed")
def test_a_worker_that_goes_loses_no_request(kube: Kube) -> None:
    suspended = json.dumps({"spec": {"suspend": True}})
    kube.run(
        "patch", "slap", DGD, "--namespace", NAMESPACE, "--type=merge", "--patch", suspended
    )  # fmt: skip
    scale(kube, 2)
    load = loads.Load(name="drained", url=URL, rate_per_s=5, requests=200, isl=256, osl=32)
    loads.start_load(kube, load, NAMESPACE)
    time.sleep(LOAD_STARTS_S)
    scale(kube, 1)
    assert loads.load_running(kube, load, NAMESPACE)
    result = loads.load_result(kube, load, NAMESPACE)
    assert result["completed"] == result["sent"] == load.requests


def scale(kube: Kube, replicas: int) -> None:
    """Give the deployment this many decode workers, and wait until they are Ready."""
    kube.run(
        "scale", "dgdsa", f"{DGD}-decode", f"--replicas={replicas}", "--namespace", NAMESPACE
    )  # fmt: skip
    wait_for(
        f"{replicas} decode workers",
        scaling.scaled(kube, DGD, NAMESPACE, lambda found: found.decode == replicas),
        timeout_s=90,
    )
