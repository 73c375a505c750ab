"""What the API server refuses, in words that help."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from dgdr_cli.cluster import KubeSource
from dgdr_cli.errors import AlreadyThere

PLANNER = {
    "apiVersion": "dgdr.dev/v1alpha1",
    "kind": "SLAPlanner",
    "metadata": {"name": "chat", "namespace": "team-a"},
    "spec": {},
}


class _Conflict(BaseHTTPRequestHandler):
    """An API server in which everything is there already."""

    def do_GET(self) -> None:
        self._answer(200, {"major": "1", "minor": "33", "gitVersion": "v1.33.0"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(409, {"reason": "AlreadyExists", "message": '"chat" already exists'})

    def log_message(self, *said: object) -> None:
        """Say nothing."""

    def _answer(self, code: int, said: object) -> None:
        body = json.dumps(said).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeSource]:
    server = HTTPServer(("127.0.0.1", 0), _Conflict)
    Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [
            {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        ],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(path))
    yield KubeSource("c")
    server.shutdown()
    server.server_close()


def test_an_object_that_is_there_is_named_with_the_cure(source: KubeSource) -> None:
    with pytest.raises(AlreadyThere) as refused:
        source.create(PLANNER)
    assert str(refused.value) == (
        "SLAPlanner chat is there already in namespace team-a; without --apply it is only printed: "
        "put that through `kubectl apply -f -` to change it, or delete it first"
    )
