"""A sample of the fault campaign on a real API server: the operator as a process behind our proxy.

It is killed before or after one of its writes, or hears no answer to it; the end is that of a life
in which nothing happened. ``DGDR_CAMPAIGN_POINTS`` is how many points are tried, by default six.
"""

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support.api_faults import FaultyApi, faulty_api
from support.cluster import ROOT, TestCluster, cluster
from support.live_requests import finish, make_candidate, phase, report, request
from support.operator_process import CLUSTER_ROLE, Namespace, OperatorProcess, until

pytestmark = pytest.mark.integration

SEED = 1
POINTS = int(os.environ.get("DGDR_CAMPAIGN_POINTS", "6"))
# Writes of an operator in a life; a test below says so.
WRITES = 40
# A machine with other work takes its time.
LIFE_S = 240.0
REST_S = 2.0
KINDS = "dgdr,dgd,dgdsa,slaplanner,job,configmap,deployment,service,serviceaccount,role,rolebinding"


class Way(StrEnum):
    """What happens around a write."""

    BEFORE = "killed-before"
    AFTER = "killed-after"
    LOST = "answer-lost"


@dataclass
class AtWrite:
    """Strikes at the write of that number, once."""

    nth: int
    way: Way
    process: OperatorProcess
    seen: int = 0
    struck: str = ""
    births: Counter[str] = field(default_factory=Counter)

    async def __call__(self, api: FaultyApi, request: web.Request) -> web.StreamResponse:
        if request.method == "GET" or "/leases" in request.path:
            return await api.passed(request)
        self.seen += 1
        if self.struck or self.seen != self.nth:
            return await self._passed(api, request)
        self.struck = f"{request.method} {request.path}"
        if self.way is not Way.BEFORE:
            await self._forwarded(api, request)
        if self.way is not Way.LOST:
            await asyncio.to_thread(self.process.kill)
        if request.transport is not None:
            request.transport.abort()
        raise asyncio.CancelledError

    async def _passed(self, api: FaultyApi, request: web.Request) -> web.StreamResponse:
        answer = await api.passed(request)
        self.births[request.path] += request.method == "POST" and answer.status == 201
        return answer

    async def _forwarded(self, api: FaultyApi, request: web.Request) -> None:
        """Have the server do it, and let nobody hear of it."""
        status = await api.forwarded(request)
        self.births[request.path] += request.method == "POST" and status == 201


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[TestCluster]:
    with cluster(f"camp-{os.getpid()}") as booted:
        booted.add_gpu_nodes(1, gpus_per_node=64)
        booted.kubectl("apply", "-f", str(ROOT / "crds"))
        booted.kubectl("create", "clusterrole", CLUSTER_ROLE, "--verb=get", "--resource=configmaps")
        yield booted


@dataclass(frozen=True)
class Life:
    """What a life has come to."""

    outcome: dict[str, Any]
    births: Counter[str]
    writes: int
    seconds: float
    struck: str


def live(where: TestCluster, folder: Path, name: str, nth: int, way: Way) -> Life:
    """Profile and deploy a request in a namespace of its own, disturbed at one write."""
    began = time.monotonic()
    there = Namespace(where, name)
    folder.mkdir()
    with faulty_api(where.kubeconfig, folder) as api:
        process = OperatorProcess(where, folder, [name])
        process.kubeconfig = api.kubeconfig
        fault = AtWrite(nth, way, process)
        api.fault = fault
        process.start()
        try:
            there.apply(request())
            revived(process, fault, there, "Profiling")
            report(there, phase="SweepingDecode", message="candidate 2 of 3")
            make_candidate(there)
            finish(there)
            revived(process, fault, there, "Deployed")
            until("swept", lambda: is_swept(there), LIFE_S)
            outcome = at_rest(there)
        finally:
            process.kill()
    where.kubectl("delete", "namespace", name, "--wait=false")
    seconds = time.monotonic() - began
    return Life(outcome, fault.births, fault.seen, seconds, fault.struck)


def revived(process: OperatorProcess, fault: AtWrite, there: Namespace, wanted: str) -> None:
    """Wait for a phase; start the process again where it was killed."""

    def is_there() -> bool:
        if not process.running():
            assert fault.struck, process.log.read_text()[-3000:]
            process.start()
        return phase(there) == wanted

    until(f"q is {wanted}", is_there, LIFE_S)


def is_swept(there: Namespace) -> bool:
    """Whether the candidate is gone with all that it had.

    The garbage collector hears of kinds that were just installed after half a minute.
    """
    return not any("/q-tp" in name for name in outcome_of(there))


def at_rest(there: Namespace) -> dict[str, Any]:
    """Return all that is there, once it has not changed for a while."""
    seen: list[dict[str, Any]] = [{}]

    def stands() -> bool:
        seen.append(outcome_of(there))
        time.sleep(REST_S)
        return seen[-1] == seen[-2]

    until("nothing changes", stands, LIFE_S)
    return seen[-1]


def outcome_of(there: Namespace) -> dict[str, Any]:
    """Return all that is there: of what kind, and what it says of itself."""
    text = there.kubectl("get", KINDS, "-o", "json")
    found = {}
    for item in json.loads(text)["items"]:
        name = item["metadata"]["name"].replace(profile_hash(item), "HASH")
        found[f"{item['kind']}/{name}"] = (spec_of(item), said_by(item))
    return found


def profile_hash(item: dict[str, Any]) -> str:
    """The part of a name that comes from the request's uid."""
    name = str(item["metadata"]["name"])
    return name.removeprefix("planner-profile-data-") if "profile-data" in name else "\0"


def spec_of(item: dict[str, Any]) -> Any:
    spec = item.get("spec") or {}
    if item["kind"] == "DynamoGraphDeployment":
        return {c["name"]: c.get("replicas") for c in spec["components"]}
    return {key: spec.get(key) for key in ("replicas", "suspend", "ttlSecondsAfterFinished")}


def said_by(item: dict[str, Any]) -> Any:
    status = item.get("status") or {}
    if not item["kind"].startswith("Dynamo"):
        return sorted((item.get("data") or {}).keys())
    conditions = status.get("conditions") or ()
    return status.get("phase"), sorted((c["type"], c["status"], c["reason"]) for c in conditions)


@pytest.fixture(scope="module")
def undisturbed(own_cluster: TestCluster, tmp_path_factory: pytest.TempPathFactory) -> Life:
    folder = tmp_path_factory.mktemp("undisturbed") / "a"
    return live(own_cluster, folder, "undisturbed", 0, Way.BEFORE)


def test_the_sample_is_of_a_whole_life(undisturbed: Life) -> None:
    print(f"{undisturbed.writes} writes in {undisturbed.seconds:.0f} s")
    assert undisturbed.writes >= WRITES


ALL = [(nth, way) for nth in range(1, WRITES + 1) for way in Way]


@pytest.mark.parametrize(
    ("nth", "way"), sorted(random.Random(SEED).sample(ALL, min(POINTS, len(ALL))))
)
def test_the_end_is_the_undisturbed_one(
    own_cluster: TestCluster, undisturbed: Life, tmp_path: Path, nth: int, way: Way
) -> None:
    life = live(own_cluster, tmp_path / "a", f"{way}-{nth}", nth, way)
    print(f"{way} write {nth}, {life.struck}: {life.seconds:.0f} s")
    assert life.struck
    assert life.outcome == undisturbed.outcome
    jobs = sum(n for path, n in life.births.items() if path.endswith("/jobs"))
    assert jobs == 1
