"""The operator as a process behind an API server that has a bad day, of each kind once.

What changed during the day is acted on after it, by the same process.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import api_faults
from support.api_faults import Fault, FaultyApi, Watches, faulty_api, watches_only
from support.cluster import ROOT, TestCluster
from support.dgds import decode_worker, dgd, frontend
from support.operator_process import Namespace, OperatorProcess, until

pytestmark = pytest.mark.integration

LASTS_S = 6.0
SPACE = "bad-days"
PATIENCE_S = 90.0


@pytest.fixture(scope="module")
def api(
    light_cluster: TestCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultyApi]:
    light_cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    with faulty_api(light_cluster.kubeconfig, tmp_path_factory.mktemp("api")) as between:
        yield between


@pytest.fixture(scope="module")
def operator(
    api: FaultyApi, light_cluster: TestCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    process = OperatorProcess(light_cluster, tmp_path_factory.mktemp("faults"), [SPACE])
    process.kubeconfig = api.kubeconfig
    Namespace(light_cluster, SPACE)
    process.start()
    yield process
    assert process.running()
    started = time.monotonic()
    assert process.stop() == 0
    print(f"ended {time.monotonic() - started:.1f} s after SIGTERM")
    log = process.log.read_text()
    assert "Traceback" not in log, log[-4000:]


@pytest.fixture
def there(operator: OperatorProcess, light_cluster: TestCluster) -> Namespace:
    return Namespace(light_cluster, SPACE)


@pytest.mark.parametrize(
    ("name", "fault", "watches"),
    [
        pytest.param("unavailable", api_faults.status(503), Watches.CUT, id="503"),
        pytest.param("busy", api_faults.status(503), Watches.KEPT, id="503, but watches go on"),
        pytest.param("forbidden", api_faults.status(403), Watches.CUT, id="403"),
        pytest.param("unauthorized", api_faults.status(401), Watches.CUT, id="401"),
        pytest.param(
            "gone", watches_only(api_faults.status(410)), Watches.CUT, id="410 as a status"
        ),
        pytest.param(
            "told-gone", watches_only(api_faults.told_gone), Watches.CUT, id="410 in the stream"
        ),
        pytest.param("half", watches_only(api_faults.half_a_line), Watches.CUT, id="half a line"),
        pytest.param(
            "throttled", api_faults.status(429, **{"Retry-After": "1"}), Watches.CUT, id="429"
        ),
        pytest.param("garbage", api_faults.garbage, Watches.CUT, id="garbage"),
        pytest.param("back-soon", api_faults.back_soon, Watches.CUT, id="a page without a line"),
        pytest.param("empty", api_faults.empty, Watches.CUT, id="an empty page"),
        pytest.param("breaks-off", api_faults.breaks_off, Watches.CUT, id="half a 503"),
        pytest.param("lost-way", api_faults.lost_way, Watches.KEPT, id="404 of a proxy"),
        pytest.param("resets", api_faults.reset, Watches.CUT, id="resets"),
        pytest.param("hung", api_faults.silent, Watches.HUNG, id="hung, watches too"),
        pytest.param("slow", api_faults.slow(2.0), Watches.CUT, id="answers after 2 s"),
    ],
)  # fmt: skip
def test_what_changes_on_a_bad_day_is_acted_on_after_it(
    api: FaultyApi,
    operator: OperatorProcess,
    there: Namespace,
    name: str,
    fault: Fault,
    watches: Watches,
) -> None:
    apply(there, f"{name}-before")
    until("a deployment before", lambda: deployed(there, f"{name}-before"), PATIENCE_S)
    api.begin(fault, watches=watches)
    time.sleep(LASTS_S / 2)
    apply(there, name)
    there.kubectl("delete", "dgd", f"{name}-before", "--wait=false")
    time.sleep(LASTS_S / 2)
    api.end()
    ended = time.monotonic()
    until(f"acted on {name}", lambda: deployed(there, name), PATIENCE_S)
    print(f"{name}: acted on {time.monotonic() - ended:.1f} s after the end")
    assert operator.running()
    there.kubectl("delete", "dgd", name, "--wait=false")


def test_a_watch_that_ends_by_a_fault_of_ours_ends_the_process(
    light_cluster: TestCluster, api: FaultyApi, tmp_path: Path
) -> None:
    beside = OperatorProcess(light_cluster, tmp_path, [SPACE])
    broken = (
        "import asyncio, dgdr_kube.kopf_feed as feed\n"
        "from dgdr_operator.__main__ import main\n"
        "async def follow(*_, **__):\n"
        "    await asyncio.sleep(2)\n"
        "    raise RuntimeError('a fault of ours')\n"
        "feed.follow = follow\n"
        "main()\n"
    )
    environment = {
        **os.environ,
        "KUBECONFIG": str(api.kubeconfig),
        "DGDR_CONFIG": str(beside.log.with_name("config.yaml")),
    }
    done = subprocess.run(
        [sys.executable, "-c", broken], env=environment, cwd=tmp_path, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode not in (0, 2, 3), done.stderr
    assert "a fault of ours" in done.stderr


def apply(there: Namespace, name: str) -> None:
    graph = dgd(frontend(), decode_worker())
    graph["metadata"] = {"name": name}
    there.apply(graph)


def deployed(there: Namespace, name: str) -> bool:
    return there.get("deployment", f"{name}-frontend") is not None
