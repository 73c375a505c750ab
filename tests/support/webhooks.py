"""The webhooks of a light cluster, and something like a Service in front of them."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from hack.light_webhooks import LightWebhooks
from hack.rest import Answer, Rest
from support.cluster import TestCluster
from support.operator_process import until

GROUP = "/apis/nvidia.com"
PLURALS = {
    "DynamoGraphDeploymentRequest": "dynamographdeploymentrequests",
    "DynamoGraphDeployment": "dynamographdeployments",
    "DynamoGraphDeploymentScalingAdapter": "dynamographdeploymentscalingadapters",
}


@contextmanager
def light_webhooks(
    where: TestCluster,
    folder: Path,
    *values: str,
    port: int,
    behind: Sequence[int],
    **settings: Any,
) -> Iterator[LightWebhooks]:
    """The chart's webhooks on a cluster, called at one port, answered by processes at others."""
    own = LightWebhooks(
        where.kubectl, where.kubeconfig, where.bin_dir, where.host_ip, folder, settings, port
    )
    own.install(*values)
    for one in behind:
        own.start(one)
    try:
        wait_for_trust(where, own)
        for one in behind:
            until(f"webhooks at port {one}", partial(_listens, one))
        yield own
    finally:
        own.stop()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
    return False


def wait_for_trust(where: TestCluster, own: LightWebhooks) -> None:
    """Wait until every CRD and configuration has the authority."""

    def told() -> bool:
        kinds = "crds,validatingwebhookconfigurations,mutatingwebhookconfigurations"
        items = json.loads(where.kubectl("get", kinds, "--output=json"))["items"]
        clients = [client for one in items for client in _clients(one) if own.host in str(client)]
        return bool(clients) and all(client.get("caBundle") for client in clients)

    until("an authority that is trusted", told)


def _clients(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    spec = manifest.get("spec") or {}
    conversion = (spec.get("conversion") or {}).get("webhook") or {}
    return [one["clientConfig"] for one in (conversion, *manifest.get("webhooks", [])) if one]


class Objects:
    """Our kinds in one namespace, in either version."""

    def __init__(self, rest: Rest, namespace: str) -> None:
        self._rest, self._namespace = rest, namespace

    def path(self, kind: str, version: str, name: str = "") -> str:
        tail = f"/{name}" if name else ""
        return f"{GROUP}/{version}/namespaces/{self._namespace}/{PLURALS[kind]}{tail}"

    def create(self, manifest: dict[str, Any], query: str = "") -> Answer:
        path = self.path(manifest["kind"], manifest["apiVersion"].rpartition("/")[2])
        return self._rest.call("POST", path + query, manifest)

    def get(self, kind: str, version: str, name: str) -> dict[str, Any]:
        answer = self.read(kind, version, name)
        assert answer.ok, answer.message
        found: dict[str, Any] = answer.body
        return found

    def read(self, kind: str, version: str, name: str = "") -> Answer:
        """Read one object, or list them all."""
        return self._rest.call("GET", self.path(kind, version, name))

    def replace(self, manifest: dict[str, Any]) -> Answer:
        version, name = manifest["apiVersion"].rpartition("/")[2], manifest["metadata"]["name"]
        return self._rest.call("PUT", self.path(manifest["kind"], version, name), manifest)

    def patch(self, kind: str, version: str, name: str, patch: Any) -> Answer:
        path = self.path(kind, version, name)
        return self._rest.call("PATCH", path, patch, "application/merge-patch+json")

    def apply(self, manifest: dict[str, Any], manager: str) -> Answer:
        version, name = manifest["apiVersion"].rpartition("/")[2], manifest["metadata"]["name"]
        path = self.path(manifest["kind"], version, name) + f"?fieldManager={manager}&force=true"
        return self._rest.call("PATCH", path, manifest, "application/apply-patch+yaml")

    def delete_all(self, kind: str) -> None:
        assert self._rest.call("DELETE", self.path(kind, "v1beta1")).ok


class Balancer:
    """Stands for a Service: each connection goes to the next address that takes it."""

    def __init__(self, port: int, behind: list[int]) -> None:
        self._behind, self._turn = behind, 0
        self._listener = socket.create_server(("", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._listener.accept()
                threading.Thread(target=self._join, args=(one,), daemon=True).start()

    def _join(self, one: socket.socket) -> None:
        for _ in self._behind:
            self._turn += 1
            port = self._behind[self._turn % len(self._behind)]
            try:
                other = socket.create_connection(("127.0.0.1", port), timeout=2)
            except OSError:
                continue
            other.settimeout(None)
            with one, other:
                back = threading.Thread(target=_pump, args=(other, one), daemon=True)
                back.start()
                _pump(one, other)
                back.join()
            return
        one.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
