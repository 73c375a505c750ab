import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from dgdr_profiler.adapters.kube import CONFIG_MAP, DGD, EVENT, Kube


@dataclass
class Api:
    """An API server that has nothing, and remembers what it was asked."""

    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    @asynccontextmanager
    async def call_api(self, method: str, **request: Any) -> AsyncIterator[SimpleNamespace]:
        self.asked.append((f"{method} {request['url']}", request["params"]))
        yield SimpleNamespace(text="{}")


async def test_a_list_is_asked_for_by_labels_and_by_fields() -> None:
    api = Api()
    kube = Kube(api, "ns")
    assert await kube.list(CONFIG_MAP, {"a": "1", "b": "2"}) == []
    assert await kube.list(EVENT, {}, {"involvedObject.name": "d-1"}) == []
    assert api.asked == [
        ("GET configmaps", {"labelSelector": "a=1,b=2"}),
        ("GET events", {"fieldSelector": "involvedObject.name=d-1"}),
    ]


async def test_a_log_is_that_of_one_container() -> None:
    api = Api()
    await Kube(api, "ns").log_tail("d-1", "fetch", previous=True, lines=7)
    ((url, params),) = api.asked
    assert url == "GET pods/d-1/log"
    assert params == {"container": "fetch", "previous": "true", "tailLines": "7"}


async def test_a_whole_log_is_read_from_its_beginning_and_not_without_end() -> None:
    api = Api()
    await Kube(api, "ns").log("d-1", "main", 1024)
    assert api.asked == [("GET pods/d-1/log", {"container": "main", "limitBytes": "1024"})]


class OldApi:
    """A cluster that knows deployments as v1alpha1 only, and gives back what it was given."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.stored: dict[str, Any] = {}

    @asynccontextmanager
    async def call_api(self, method: str, **request: Any) -> AsyncIterator[SimpleNamespace]:
        self.asked.append((method, request["version"]))
        if method == "POST":
            self.stored = json.loads(request["content"])
        yield SimpleNamespace(text=json.dumps(self.stored))


async def test_a_candidate_is_written_in_the_version_that_the_cluster_takes() -> None:
    api = OldApi()
    kube = Kube(api, "ns", "nvidia.com/v1alpha1")
    graph = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "q-tp2", "namespace": "ns"},
        "spec": {"components": [{"name": "decode", "type": "decode", "replicas": 1}]},
    }
    await kube.create(DGD, graph)
    assert api.stored["spec"]["services"]["decode"]["subComponentType"] == "decode"
    found = await kube.get(DGD, "q-tp2")
    assert found is not None
    assert found["spec"] == graph["spec"]
    await kube.delete(DGD, "q-tp2")
    assert {version for _, version in api.asked} == {"nvidia.com/v1alpha1"}
