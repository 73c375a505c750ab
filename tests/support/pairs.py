"""Two processes of the operator on one Lease, and what each of them wrote."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.api_faults import FaultyApi, Sent, faulty_api
from support.cluster import TestCluster
from support.dgds import decode_worker, dgd, frontend
from support.operator_process import Namespace, OperatorProcess, until

LEASE = "dgdr-operator"


@dataclass(frozen=True)
class Half:
    """One process, behind a line of its own that notes its writes."""

    process: OperatorProcess
    api: FaultyApi

    def work(self) -> list[Sent]:
        """What it wrote beside the Lease, and was accepted."""
        return [one for one in self.api.sent if "/leases" not in one.path and one.status < 300]

    @property
    def name(self) -> str:
        return self.process.name


@dataclass(frozen=True)
class Pair:
    """Whoever leads, and the other one."""

    there: Namespace
    halves: tuple[Half, Half]
    system: str
    lease: str

    def holder(self) -> str:
        text = self.there.where.kubectl(
            "get", "lease", self.lease, "-n", self.system, "--ignore-not-found", "-o", "json"
        )
        return str(json.loads(text)["spec"].get("holderIdentity") or "") if text.strip() else ""

    def leader(self) -> Half:
        def found() -> Half | None:
            held = self.holder().split("_")[0]
            return next((half for half in self.halves if half.name == held), None)

        return until("a leader", found)

    def other(self, half: Half) -> Half:
        first, second = self.halves
        return second if half is first else first

    def ask_for(self, name: str) -> None:
        """Ask for a deployment: what follows is the first thing that a new leader does."""
        graph = dgd(frontend(), decode_worker())
        graph["metadata"] = {"name": name}
        self.there.apply(graph)

    def has(self, name: str) -> bool:
        return self.there.get("deployment", f"{name}-frontend") is not None

    def seconds_until_done(self, name: str, since_s: float, patience_s: float = 90.0) -> float:
        """Seconds until the deployment of that name is there."""
        until(f"{name} by the other", lambda: self.has(name), patience_s)
        return time.monotonic() - since_s


@contextmanager
def pair(
    where: TestCluster,
    folder: Path,
    name: str,
    code: Sequence[str] = ("-m", "dgdr_operator"),
    lease: str = LEASE,
) -> Iterator[Pair]:
    """Start two; ``name`` is of their Lease's namespace and begins that of what they serve."""
    there, system = Namespace(where, f"{name}-work"), Namespace(where, name)
    with ExitStack() as stack:
        halves = []
        for letter in "ab":
            own = folder / f"{name}-{letter}"
            own.mkdir()
            api = stack.enter_context(faulty_api(where.kubeconfig, own))
            process = OperatorProcess(where, own, [there.name], lease_in=system.name)
            process.kubeconfig, process.code = api.kubeconfig, [*code]
            stack.callback(process.kill)
            process.start()
            halves.append(Half(process, api))
        both = Pair(there, (halves[0], halves[1]), system.name, lease)
        both.leader()
        yield both
