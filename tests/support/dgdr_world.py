"""A namespace with a DGDR in it, and the controllers around the operator, played by the test."""

from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from dgdr_kube.kinds import CONFIG_MAP, DGD, DGDR, JOB
from dgdr_kube.ports import Key, Manifest
from dgdr_operator.passes.dgdr_pass import DgdrPass
from dgdr_operator.settings import Images, Settings
from support.crds import installed
from support.fake_cluster import FakeCluster

NS = "ns"
NAME = "q"
DGD_NAME = "q-dgd"
KEY = Key(NS, NAME)
T0 = datetime(2025, 1, 1, tzinfo=UTC)
SETTINGS = Settings(images=Images(profiler="registry.test/profiler:1", dynamo_mocker="mocker:1"))
# A run never needs more; a pass that never settles fails the test instead of hanging it.
MANY_ROUNDS = 40


def dgdr(**spec: Any) -> Manifest:
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeploymentRequest",
        "metadata": {"name": NAME, "namespace": NS},
        "spec": {"model": "Qwen/Qwen3-0.6B", "image": "registry.test/vllm-runtime:1", **spec},
    }


def node(product: str = "NVIDIA-H200", gpus: int = 16, name: str = "node-1") -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"nvidia.com/gpu.product": product, "nvidia.com/gpu.memory": "143771"},
        },
        "status": {"allocatable": {"nvidia.com/gpu": str(gpus)}},
    }


def generated_dgd(replicas: int = 1, gpus: int = 1, name: str = DGD_NAME) -> Manifest:
    def worker(role: str) -> Manifest:
        container = {
            "name": "main",
            "image": "worker:1",
            "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
        }
        return {
            "name": role,
            "type": role,
            "replicas": replicas,
            "scalingAdapter": {},
            "podTemplate": {"spec": {"containers": [container]}},
        }

    front = {"spec": {"containers": [{"name": "main", "image": "frontend:1"}]}}
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": name},
        "spec": {
            "components": [
                {"name": "frontend", "type": "frontend", "replicas": 1, "podTemplate": front},
                worker("prefill"),
                worker("decode"),
            ]
        },
    }


def sla_planner() -> Manifest:
    return {
        "apiVersion": "dgdr.dev/v1alpha1",
        "kind": "SLAPlanner",
        "metadata": {"name": DGD_NAME},
        "spec": {
            "targetRef": {"kind": "DynamoGraphDeployment", "name": DGD_NAME},
            "sla": {"ttftMs": 500, "itlMs": 50},
            "roles": {"prefill": {"max": 4}, "decode": {"max": 4}},
            "profile": {"configMapRef": {"name": "planner-profile-data-x"}},
        },
    }


class World:
    """The cluster, one pass, and a clock."""

    def __init__(self, request: Manifest | None = None, *others: Manifest) -> None:
        self.cluster = FakeCluster(T0)
        self.now = T0
        self.documents: list[Manifest] = [sla_planner(), generated_dgd()]
        self.run = self.new_pass()
        self.cluster.seed(node(), *installed())
        if others:
            self.cluster.seed(*others)
        self.cluster.seed(request or dgdr())

    # -- the operator

    def new_pass(self) -> DgdrPass:
        return DgdrPass(self.cluster, SETTINGS)

    @staticmethod
    def run_key(name: str) -> Key:
        return Key(NS, name)

    async def one_pass(self) -> float | None:
        self.now += timedelta(seconds=1)
        return await self.run(KEY, self.now)

    async def settle(self) -> None:
        """Run passes until one writes nothing, with nobody else at work."""
        for _ in range(MANY_ROUNDS):
            before = len(self.cluster.writes)
            await self.one_pass()
            if len(self.cluster.writes) == before:
                return
        raise AssertionError(f"never settles: {self.cluster.writes[-6:]}")

    async def live(self) -> None:
        """Let operator, Job and workloads act in turn until nothing changes any more."""
        for _ in range(MANY_ROUNDS):
            before = self.cluster.everything()
            await self.one_pass()
            await self.others()
            if self.cluster.everything() == before:
                return
        raise AssertionError("never comes to rest")

    # -- the others

    async def others(self) -> None:
        """Move the Job and the DGD one step further, as their controllers would."""
        if self.job is not None and not (self.job.get("status") or {}).get("conditions"):
            if self.output is None:
                await self.profiler_reports("SweepingPrefill", "candidate 1 of 3")
                await self.profiler_makes_candidate()
            else:
                await self.profiler_finishes()
        if self.dgd is not None and (self.dgd.get("status") or {}).get("state") != "successful":
            self.dgd_is("successful")

    async def profiler_makes_candidate(self, name: str = "q-tp2") -> None:
        manifest = generated_dgd(name=name)
        manifest["metadata"].update(
            namespace=NS,
            labels={"dgdr.dev/run": self.uid, "dgdr.dev/candidate": "tp2"},
        )
        await self.cluster.apply(manifest, "dgdr-profiler")

    def profiler_pod(self, status: Manifest | None = None, name: str = "profile-q-pod") -> None:
        """Be the kubelet of the Job's pod; without a status it runs."""
        assert self.job is not None
        running = {"name": "profiler", "state": {"running": {}}}
        owner = {"kind": "Job", "name": f"profile-{NAME}", "uid": self.job["metadata"]["uid"]}
        self.cluster.seed(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": NS,
                    "labels": {"dgdr": NAME},
                    "ownerReferences": [owner],
                },
                "status": {"containerStatuses": [running]} if status is None else status,
            }
        )

    async def profiler_reports(self, phase: str, message: str, **more: str) -> None:
        self.profiler_pod()
        data = {"phase": phase, "message": message, "profiler_status": "running", **more}
        await self.cluster.apply(self.output_map(data), "dgdr-profiler")

    async def profiler_finishes(self, binaries: dict[str, str] | None = None, **more: str) -> None:
        written = {"binaryData": binaries} if binaries else {}
        await self.cluster.apply(
            written
            | self.output_map(
                {
                    "phase": "Done",
                    "message": "done",
                    "profiler_status": "success",
                    "final_config.yaml": yaml.safe_dump_all(self.documents),
                    "prefill_raw_data.json": '{"prefill_isl": [1]}',
                    "decode_raw_data.json": '{"z_itl": [1]}',
                    **more,
                }
            ),
            "dgdr-profiler",
        )
        self.job_is("Complete")

    def output_map(self, data: dict[str, str]) -> Manifest:
        owner = {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeploymentRequest",
            "name": NAME,
            "uid": self.uid,
        }
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"dgdr-output-{NAME}",
                "namespace": NS,
                "labels": {"dgdr.nvidia.com/name": NAME, "dgdr.nvidia.com/namespace": NS},
                "ownerReferences": [owner],
            },
            "data": data,
        }

    def job_is(self, condition: str, message: str = "") -> None:
        entry = {"type": condition, "status": "True", "message": message}
        self.cluster.set_status(JOB, NS, f"profile-{NAME}", {"conditions": [entry]})

    def dgd_is(self, state: str, available: int = 1, replicas: int = 1) -> None:
        pods = {"replicas": replicas, "availableReplicas": available}
        status = {
            "state": state,
            "components": {name: dict(pods) for name in ("frontend", "prefill", "decode")},
        }
        self.cluster.set_status(DGD, NS, DGD_NAME, status)

    # -- what there is

    @property
    def request(self) -> Manifest:
        found = self.cluster.peek(DGDR, NS, NAME)
        assert found is not None
        return found

    @property
    def uid(self) -> str:
        return str(self.request["metadata"]["uid"])

    @property
    def status(self) -> Manifest:
        return dict(self.request.get("status") or {})

    @property
    def phase(self) -> str:
        return str(self.status.get("phase"))

    def condition(self, type_: str) -> tuple[str, str, str]:
        """Return (status, reason, message)."""
        found = next(c for c in self.status["conditions"] if c["type"] == type_)
        return found["status"], found["reason"], found["message"]

    @property
    def conditions(self) -> set[str]:
        """Types of the conditions that are told."""
        return {condition["type"] for condition in self.status["conditions"]}

    @property
    def job(self) -> Manifest | None:
        return self.cluster.peek(JOB, NS, f"profile-{NAME}")

    @property
    def output(self) -> Manifest | None:
        return self.cluster.peek(CONFIG_MAP, NS, f"dgdr-output-{NAME}")

    @property
    def dgd(self) -> Manifest | None:
        return self.cluster.peek(DGD, NS, DGD_NAME)

    @property
    def events(self) -> list[str]:
        return [event.reason for event in self.cluster.events]

    async def edit(self, **spec: Any) -> None:
        """Edit the spec where no CRD of ours refuses it."""
        self.cluster.admits_all = True
        await self.cluster.patch(DGDR, NS, NAME, {"spec": spec}, "kubectl")
