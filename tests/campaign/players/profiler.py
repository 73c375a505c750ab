"""The Job's program, played: candidates one after the other, a point each, then the result.

It keeps to the protocol of `dgdr_profiler`: points are stored at once and found again by the next
pod, candidates belong to the request and carry its uid, one write brings result and status. What
the program itself makes of kills is tested in `tests/unit/dgdr_profiler`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from dgdr_api import names
from dgdr_api.request import ProfilingRequest
from dgdr_kube.errors import AlreadyExists, ClusterError
from dgdr_kube.kinds import CONFIG_MAP, DGD, POD
from dgdr_kube.manifests import is_going
from dgdr_kube.ports import Manifest
from support.dgdr_world import generated_dgd, sla_planner
from support.fake_cluster import FakeCluster
from support.planning import DECODE, PREFILL

from .jobs import ended_status, phase_of

MANAGER = "dgdr-profiler"
CANDIDATES = ("tp1", "tp2")
POLL_S = 2.0
MEASURE_S = 20.0
CURVES = {"prefill_raw_data.json": PREFILL.to_json(), "decode_raw_data.json": DECODE.to_json()}


def result(gpus: int = 1, **planner_spec: Any) -> dict[str, str]:
    """Return what a run writes at its end."""
    planner = sla_planner()
    planner["spec"] |= planner_spec
    return {
        "final_config.yaml": yaml.safe_dump_all([planner, generated_dgd(gpus=gpus)]),
        **CURVES,
    }


@dataclass
class Profiler:
    """Runs the program in each pod of a profiling Job that runs.

    ``at`` is called with the name of each step before it is done; it may raise ``Ended``.
    """

    cluster: FakeCluster
    candidates: Sequence[str]
    results: Mapping[str, str] = field(default_factory=result)
    at: Callable[[str, Manifest], None] = lambda step, pod: None
    measured: list[str] = field(default_factory=list)
    _pods: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)

    def step(self) -> None:
        """Start the program where a pod runs, end it where one does not any more."""
        there = {pod["metadata"]["uid"]: pod for pod in self.cluster.of(POD) if _profiles(pod)}
        for uid, task in [*self._pods.items()]:
            if uid not in there:
                task.cancel()
                del self._pods[uid]
        for uid, pod in there.items():
            if uid not in self._pods:
                self._pods[uid] = asyncio.create_task(self._main(pod), name="profiler")

    def end(self) -> list["asyncio.Task[None]"]:
        """End the program wherever it runs; returns what is to be awaited."""
        for task in self._pods.values():
            task.cancel()
        return [*self._pods.values()]

    async def _main(self, pod: Manifest) -> None:
        meta = pod["metadata"]
        try:
            await self._run(pod)
            status = ended_status(0, "Completed")
        except Ended as exc:
            if exc.status is None:
                return
            status = exc.status
        except ClusterError as exc:
            status = ended_status(1, "Error", f"the API server refused: {exc}")
        if self.cluster.peek(POD, meta["namespace"], meta["name"]) is not None:
            self.cluster.set_status(POD, meta["namespace"], meta["name"], status)

    async def _run(self, pod: Manifest) -> None:
        namespace = pod["metadata"]["namespace"]
        name = pod["metadata"]["labels"]["dgdr"]
        found = self.cluster.peek(CONFIG_MAP, namespace, names.job_name(name))
        if found is None:
            raise Ended(ended_status(1, "Error", "the request is not mounted"))
        told = ProfilingRequest.from_text(found["data"]["request.json"])
        self.at("began", pod)
        for candidate in self._points(told):
            await self._retire(f"{told.dgdr_name}-{candidate}", told.namespace)
        for candidate in self.candidates:
            if candidate not in self._points(told):
                await self._measure(told, candidate, pod)
        self.at("writing", pod)
        await self._write(told, "Done", "done", "success", **self.results)
        self.at("written", pod)
        await asyncio.sleep(POLL_S)

    async def _measure(self, told: ProfilingRequest, candidate: str, pod: Manifest) -> None:
        await self._write(told, "SweepingPrefill", f"candidate {candidate}", "running")
        self.at(f"deploying {candidate}", pod)
        name = f"{told.dgdr_name}-{candidate}"
        await self._deploy(told, name, candidate)
        self.at(f"deployed {candidate}", pod)
        await self._until(lambda: _serves(self.cluster.peek(DGD, told.namespace, name)))
        self.at(f"measuring {candidate}", pod)
        await asyncio.sleep(MEASURE_S)
        if not _serves(self.cluster.peek(DGD, told.namespace, name)):
            raise Ended(ended_status(1, "Error", f"{name} is gone"))
        self.measured.append(candidate)
        self.at(f"measured {candidate}", pod)
        await self._store(told, candidate)
        self.at(f"stored {candidate}", pod)
        await self._retire(name, told.namespace)
        self.at(f"deleted {candidate}", pod)

    async def _retire(self, name: str, namespace: str) -> None:
        """Delete a candidate, and wait until its GPUs are free."""
        await self.cluster.delete(DGD, namespace, name)
        await self._until(lambda: not any(is_of_graph(p, name) for p in self.cluster.of(POD)))

    @staticmethod
    async def _until(holds: Callable[[], bool]) -> None:
        while not holds():  # noqa: ASYNC110 - the program polls
            await asyncio.sleep(POLL_S)

    async def _deploy(self, told: ProfilingRequest, name: str, candidate: str) -> None:
        manifest = generated_dgd(name=name)
        manifest["metadata"] |= {
            "namespace": told.namespace,
            "labels": {"dgdr.dev/run": told.uid, "dgdr.dev/candidate": candidate},
            "ownerReferences": [_owner(told)],
        }
        while True:
            there = self.cluster.peek(DGD, told.namespace, name)
            if there is not None and not is_going(there):
                return
            if there is None:
                try:
                    await self.cluster.create(manifest, MANAGER)
                except AlreadyExists:
                    continue
                return
            await asyncio.sleep(POLL_S)

    def _points(self, told: ProfilingRequest) -> frozenset[str]:
        found = self.cluster.peek(CONFIG_MAP, told.namespace, _points_name(told))
        return frozenset((found or {}).get("data") or {})

    async def _store(self, told: ProfilingRequest, candidate: str) -> None:
        stored = {known: "measured" for known in (*self._points(told), candidate)}
        await self.cluster.apply(
            _config_map(told, _points_name(told), stored, points=True), MANAGER
        )

    async def _write(
        self, told: ProfilingRequest, phase: str, message: str, status: str, **more: str
    ) -> None:
        data = {"phase": phase, "message": message, "profiler_status": status, **more}
        name = names.output_config_map(told.dgdr_name)
        await self.cluster.apply(_config_map(told, name, data), MANAGER)


class Ended(Exception):
    """The pod ends here with this status; None: somebody has said so already."""

    def __init__(self, status: Manifest | None) -> None:
        super().__init__("the pod ends")
        self.status = status


def _points_name(told: ProfilingRequest) -> str:
    return f"dgdr-points-{told.dgdr_name}-0"


def _config_map(
    told: ProfilingRequest, name: str, data: Mapping[str, str], *, points: bool = False
) -> Manifest:
    labels = {"dgdr.nvidia.com/name": told.dgdr_name, "dgdr.nvidia.com/namespace": told.namespace}
    if points:
        labels[names.Label.RECORDS.value] = "points"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": told.namespace,
            "labels": labels,
            "ownerReferences": [_owner(told)],
        },
        "data": dict(data),
    }


def _owner(told: ProfilingRequest) -> Manifest:
    return dict(told.owner_reference.to_json())


def _profiles(pod: Manifest) -> bool:
    labelled = "dgdr" in (pod["metadata"].get("labels") or {})
    return labelled and phase_of(pod) == "Running" and not is_going(pod)


def is_of_graph(pod: Manifest, name: str) -> bool:
    return (pod["metadata"].get("labels") or {}).get(names.Label.GRAPH.value) == name


def _serves(dgd: Manifest | None) -> bool:
    if dgd is None or is_going(dgd):
        return False
    status = dgd.get("status") or {}
    return (
        status.get("state") == "successful"
        and status.get("observedGeneration") == dgd["metadata"]["generation"]
    )
