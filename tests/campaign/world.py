"""All processes and players around one server, in virtual time, and a record of what they did."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dgdr_api.names import Label
from dgdr_kube.kinds import (
    DGD,
    DGDR,
    DGDSA,
    EVENT,
    GPU_BUDGET,
    LEASE,
    POD,
    SLA_PLANNER,
    WORKER_METADATA,
    Kind,
)
from dgdr_kube.ports import ChangeType, Manifest
from dgdr_operator.settings import Settings
from support.crds import crd
from support.dgdr_world import NS, T0, node
from support.fake_cluster import FakeCluster
from support.fake_watches import FakeWatches

from .calls import Fault, Line
from .players.deployments import Deployments
from .players.jobs import Jobs
from .players.profiler import CANDIDATES, Profiler
from .players.prometheus import Prometheus
from .processes import Contender, Process, Work, operating, planning

GPUS_AT_ONCE = 2
"""What candidates of a run may hold; each of them holds as many."""
CROWD = "candidates of"
"""How a note begins about those that hold more."""
RESTART_S = 10.0
"""From the end of a process until the kubelet has started another."""
QUIET_S = 650.0
"""Nothing is due later than this: the longest look-again is 600 s."""
PATIENCE_S = 3600.0
PLAY_S = 0.25

SETTINGS = Settings.model_validate(
    {
        "images": {"profiler": "registry.test/profiler:1", "dynamoMocker": "mocker:1"},
        "prometheus": {"url": "http://prometheus:9090"},
    }
)
OURS = (DGDR, DGD, DGDSA, SLA_PLANNER)
"""Kinds that speak to users by conditions."""
_LIVELY = (LEASE, EVENT)


class Stuck(Exception):
    """Something that should have come did not."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a world consists of beside an operator."""

    operators: int = 1
    elects: bool = False
    plans: bool = False
    budget_gpus: int | None = None
    candidates: int = 1


@dataclass
class Record:
    """What happened: how often each object was made, and what must never be.

    ``births`` counts by kind and name what our processes and the profiler have created.
    """

    births: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    rested_s: float = 0.0

    def note(self, what: str) -> None:
        if what not in self.wrong:
            self.wrong.append(what)


class Server(FakeCluster):
    """The API server of a world: uids tell which object of a name it is, and time is virtual."""

    def __init__(self) -> None:
        super().__init__(T0)
        self.collects_at_once = False
        self._births: Counter[tuple[str, str]] = Counter()

    def new_uid(self, manifest: Manifest) -> str:
        what = manifest["kind"], manifest["metadata"]["name"]
        self._births[what] += 1
        return f"uid-{what[0]}-{what[1]}-{self._births[what]}".lower()


class World:
    """One server, our processes, and everybody else."""

    def __init__(self, config: Config, fault: Fault, seed: int) -> None:
        loop = asyncio.get_running_loop()
        self.config = config
        self.server = Server()
        self.watches = FakeWatches(self.server)
        self.dice = random.Random(seed)
        self.line = Line(self.server, self.watches, fault, self.dice)
        self.line.on_call = self._tick
        self.record = Record()
        self.prometheus = Prometheus()
        self.deployments = Deployments(self.server)
        self.jobs = Jobs(self.server)
        self.profiler = Profiler(self.server, CANDIDATES[: config.candidates])
        self.skew = timedelta()
        self._runs: dict[str, str] = {}
        self._served: set[str] = set()
        self.services: dict[str, Service] = {}
        self._time = loop.time
        self._changed = asyncio.Event()
        self._changed_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self.server.listeners.append(self._hear)

    def clock(self) -> datetime:
        """What our processes take for the time: the server's, unless it is skewed."""
        return self.now() + self.skew

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self._time())

    # -- life

    def begin(self) -> None:
        """Install the product, and start everybody."""
        kinds = (DGD, DGDSA, WORKER_METADATA, SLA_PLANNER)
        self.server.seed(node(), *(crd(kind) for kind in kinds), policy())
        self._tasks.append(asyncio.create_task(self._play(), name="players"))
        for number in range(self.config.operators):
            self.serve(f"operator-{number}", operating(SETTINGS), elects=self.config.elects)
        if self.config.plans:
            self.serve("planner", planning(self.prometheus))

    def serve(self, name: str, work: Work, *, elects: bool = False) -> None:
        """Run a process, and start another whenever it ends."""
        make = Contender if elects else Process
        service = Service(lambda: make(name, self.line, self.clock, work), self.record)
        self.services[name] = service
        self._tasks.append(asyncio.create_task(service.run(), name=f"kubelet of {name}"))

    async def end(self) -> None:
        self._tasks += self.profiler.end()
        for service in self.services.values():
            service.stop()
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended  # a fault of the players, or of the harness: no point counts

    # -- waiting

    async def until(
        self, what: str, holds: Callable[[], bool], patience_s: float = PATIENCE_S
    ) -> None:
        """Wait until something holds; raises Stuck."""
        end_s = self._time() + patience_s
        while not holds():
            if self._time() > end_s:
                raise Stuck(f"not within {patience_s:.0f} s: {what}")
            await asyncio.sleep(1.0)

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something after so many seconds."""
        asyncio.get_running_loop().call_later(seconds, do)

    def wake(self) -> None:
        """Have the players look again."""
        self._changed.set()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.record.rested_s = self._time()

    async def rest(self, quiet_s: float = QUIET_S) -> None:
        """Wait until nothing changes any more."""
        end_s = self._time() + 2 * PATIENCE_S
        while (left_s := self._changed_s + quiet_s - self._time()) > 0:
            if self._time() > end_s:
                raise Stuck("never comes to rest")
            await asyncio.sleep(left_s + 0.01)
        self.record.rested_s = self._changed_s

    # -- what there is

    def object(self, kind: Kind, name: str) -> Manifest | None:
        return self.server.peek(kind, NS, name)

    def phase(self, name: str = "q") -> str:
        found = self.object(DGDR, name) or {}
        return str((found.get("status") or {}).get("phase"))

    def condition(self, aspect: str) -> Manifest:
        """A condition of the request; empty when it is not told."""
        status = (self.object(DGDR, "q") or {}).get("status") or {}
        return next((c for c in status.get("conditions") or () if c["type"] == aspect), {})

    def reason(self, aspect: str) -> str:
        return str(self.condition(aspect).get("reason", ""))

    def message(self, aspect: str) -> str:
        return str(self.condition(aspect).get("message", ""))

    # -- inside

    def _tick(self) -> None:
        self.server.now = self.now()

    def _hear(self, type_: ChangeType, kind: Kind, manifest: Manifest, who: str) -> None:
        if kind not in _LIVELY and not _is_live_status(kind, who):
            self._changed_s = self._time()
        self._changed.set()
        if type_ is ChangeType.ADDED and who != "seed":
            self.record.births[kind.kind, manifest["metadata"]["name"]] += 1
            self._note_run(manifest)
        if kind == POD:
            self._check_gpus()
        elif kind in (DGD, DGDR):
            self._check_word(kind, manifest)

    def _check_word(self, kind: Kind, manifest: Manifest) -> None:
        """No request is called Deployed whose deployment has never served."""
        status = manifest.get("status") or {}
        if kind == DGD and status.get("state") == "successful":
            self._served.add(manifest["metadata"]["name"])
        elif status.get("phase") == "Deployed" and status.get("dgdName") not in self._served:
            self.record.note(f"{manifest['metadata']['name']} is Deployed, and has never served")

    def _note_run(self, manifest: Manifest) -> None:
        """Remember of which profiling run an object is; a label alone may be copied."""
        meta = manifest["metadata"]
        owners = {owner["uid"] for owner in meta.get("ownerReferences") or ()}
        runs = {self._runs[uid] for uid in owners if uid in self._runs}
        runs |= owners & {(meta.get("labels") or {}).get(Label.RUN.value)}
        for run in runs:
            self._runs[meta["uid"]] = run

    def _run_of(self, pod: Manifest) -> str:
        return next(
            (
                run
                for o in pod["metadata"].get("ownerReferences") or ()
                if (run := self._runs.get(o["uid"]))
            ),
            "",
        )

    def _check_gpus(self) -> None:
        """No GPU beyond what is allowed, at any moment."""
        held: Counter[str] = Counter()
        for pod in self.server.of(POD):
            if gpus := gpus_of(pod):
                held[self._run_of(pod)] += gpus
        budget = self.config.budget_gpus
        if budget is not None and held[""] > budget:
            self.record.note(f"{held['']} GPUs are held of a budget of {budget}")
        del held[""]
        for run, gpus in held.items():
            if gpus > GPUS_AT_ONCE:
                self.record.note(f"{CROWD} {run} hold {gpus} GPUs of {GPUS_AT_ONCE}")

    async def _play(self) -> None:
        """Let the players act whenever something has changed, or is due."""
        due_s: float | None = None
        while True:
            try:
                async with asyncio.timeout(due_s):
                    await self._changed.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(PLAY_S)
            self._changed.clear()
            self._tick()
            now = self.now()
            due = [self.deployments.step(now), self.jobs.step(now)]
            self.profiler.step()
            self.server.collect()
            due_s = min((s for s in due if s is not None), default=None)


class Service:
    """A process that is started again whenever it ends."""

    def __init__(self, make: Callable[[], Process], record: Record) -> None:
        self._make = make
        self._record = record
        self.process = make()
        self.starts = 0
        self.held = asyncio.Event()
        self.held.set()

    def stop(self) -> None:
        self.process.kill()

    async def run(self) -> None:
        while True:
            await self.held.wait()
            self.starts += 1
            self.process.start()
            error = await self.process.ended()
            if error is not None:
                self._record.note(f"process {self.process.name} ended by a fault: {error!r}")
            self.process = self._make()
            await asyncio.sleep(RESTART_S)


class Heard(logging.Handler):
    """Keeps what our code logs as errors: an exception that nobody expected."""

    def __init__(self, record: Record) -> None:
        super().__init__(logging.ERROR)
        self._record = record

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._record.errors.append(f"{record.getMessage()}: {error!r}")


@asynccontextmanager
async def world(config: Config, fault: Fault, seed: int) -> AsyncIterator[World]:
    """Run a world; nothing of it is left afterwards."""
    made = World(config, fault, seed)
    root, heard = logging.getLogger(), Heard(made.record)
    level = root.level
    root.addHandler(heard)
    root.setLevel(logging.ERROR)
    made.begin()
    try:
        yield made
    finally:
        await made.end()
        root.removeHandler(heard)
        root.setLevel(level)


def _is_live_status(kind: Kind, who: str) -> bool:
    """Whether a planner reports figures, which it does for ever."""
    return kind in (SLA_PLANNER, GPU_BUDGET) and who == "dgdr-planner"


def graph_of(pod: Manifest) -> str:
    return str((pod["metadata"].get("labels") or {}).get(Label.GRAPH.value, ""))


def gpus_of(pod: Manifest) -> int:
    """GPUs that a pod holds, until it is gone."""
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    limits = ((c.get("resources") or {}).get("limits") or {} for c in pod["spec"]["containers"])
    return sum(int(limit.get("nvidia.com/gpu", 0)) for limit in limits)


def policy() -> Manifest:
    return {
        "apiVersion": "dgdr.dev/v1alpha1",
        "kind": "ProfilingPolicy",
        "metadata": {"name": "default", "namespace": NS},
        "spec": {"gpusAtOnce": GPUS_AT_ONCE},
    }
