"""What the API server refuses, or answers in words of another version, in words that help."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from dgdr_cli.app import look
from dgdr_cli.cluster import KubeSource
from dgdr_cli.errors import AlreadyThere, NotThere, Unreachable, Unreadable
from dgdr_cli.view import phase_text
from support.planning import sla_planner

PLANNER = {
    "apiVersion": "dgdr.dev/v1alpha1",
    "kind": "SLAPlanner",
    "metadata": {"name": "chat", "namespace": "team-a"},
    "spec": {},
}


class _Server(BaseHTTPRequestHandler):
    """An API server that holds what a test puts into ``Held``; everything can be refused."""

    server: "Held"

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        *_, resource = path = asked.path.strip("/").split("/")
        if resource == "version":
            return self._answer(200, {"major": "1", "minor": "33", "gitVersion": "v1.33.0"})
        group = path[1] if path[0] == "apis" else ""
        there = self.server.objects.get(f"{resource}.{group}".strip("."), 404)
        if isinstance(there, int):
            return self._answer(there, {"message": f"{resource} is forbidden"})
        selector = parse_qs(asked.query).get("fieldSelector", [""])[0]
        name = selector.removeprefix("metadata.name=")
        items = [one for one in there if name in ("", one["metadata"]["name"])]
        return self._answer(200, {"items": items})

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


class Held(HTTPServer):
    """What there is by resource; a number refuses, and of what is not named there is no kind."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Server)
        self.objects: dict[str, list[dict[str, Any]] | int] = {}


@pytest.fixture
def held() -> Iterator[Held]:
    server = Held()
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def source(held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KubeSource:
    # The library keeps its connections by the name of the context.
    context = f"c-{held.server_port}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{held.server_port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(path))
    return KubeSource(context)


def test_an_object_that_is_there_is_named_with_the_cure(source: KubeSource) -> None:
    with pytest.raises(AlreadyThere) as refused:
        source.create(PLANNER)
    assert str(refused.value) == (
        "SLAPlanner chat is there already in namespace team-a; without --apply it is only printed: "
        "put that through `kubectl apply -f -` to change it, or delete it first"
    )


REQUESTS, BESIDE = (
    "dynamographdeploymentrequests.nvidia.com",
    "dynamographdeploymentrequests.dgdr.dev",
)
GRAPHS, PLANNERS, MAPS = "dynamographdeployments.nvidia.com", "slaplanners.dgdr.dev", "configmaps"
POINT = {
    "key": "k",
    "candidate": "p-tp1",
    "kind": "prefill",
    "isl": 2048,
    "osl": 1,
    "concurrency": 1,
    "ttftMs": 120,
    "requests": 8,
    "completed": 8,
    "gpus": 1,
    "source": "measured",
    "startedAt": "2026-03-01T12:00:00Z",
    "wallS": 12,
}


def request(name: str = "q", phase: str = "Deployed", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeploymentRequest",
        "metadata": {"name": name, "namespace": "team"},
        "spec": {"model": "m", **spec},
        "status": {"phase": phase},
    }


def graph(component: dict[str, Any], state: str = "successful") -> dict[str, Any]:
    return {
        "metadata": {"name": "q-dgd", "namespace": "team"},
        "spec": {"components": [{"name": "decode", "replicas": 2, **component}]},
        "status": {"state": state, "components": {"decode": {"readyReplicas": 1}}},
    }


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team"}, "data": data}


def whole() -> dict[str, list[dict[str, Any]] | int]:
    """Return a request that was profiled and deployed, and all that belongs to it."""
    return {
        REQUESTS: [request()],
        BESIDE: [],
        GRAPHS: [graph({})],
        PLANNERS: [sla_planner()],
        MAPS: [
            config_map("dgdr-output-q", **{"report.json": "{}"}),
            config_map("dgdr-points-q-0", a=json.dumps(POINT)),
        ],
    }


def test_what_can_be_read_is_shown_without_a_remark(held: Held, source: KubeSource) -> None:
    held.objects = whole()
    view = look(source, "q", "team")
    assert (view.phase, view.remarks) == ("Deployed", ())
    assert view.candidates
    assert view.deployment
    assert view.planner


def cut_report(text: str) -> list[dict[str, Any]]:
    return [config_map("dgdr-output-q", **{"report.json": text})]


@pytest.mark.parametrize(
    ("resource", "there", "remarks"),
    [
        pytest.param(
            PLANNERS, 404, ["planner: not readable: the kind is not installed"], id="no kind"
        ),
        pytest.param(
            PLANNERS, 403, ["planner: not readable: slaplanners is forbidden"], id="no right"
        ),
        pytest.param(
            GRAPHS,
            403,
            ["deployment: not readable: dynamographdeployments is forbidden"],
            id="no right to deployments",
        ),
        pytest.param(
            MAPS,
            403,
            [
                "report: not readable: configmaps is forbidden",
                "points: not readable: configmaps is forbidden",
            ],
            id="no right to ConfigMaps",
        ),
        pytest.param(
            MAPS,
            cut_report('{"slaReachable": tr'),
            ["report: not readable: Invalid JSON"],
            id="cut",
        ),
        pytest.param(
            MAPS,
            [config_map("dgdr-points-q-0", a=json.dumps(POINT), b="{}")],
            ["points: 1 of 2 not readable: key: Field required, and"],
            id="one bad point",
        ),
        pytest.param(
            MAPS,
            [config_map("dgdr-points-q-0", a=json.dumps({**POINT, "x": 1}))],
            [],
            id="a newer point",
        ),
        pytest.param(GRAPHS, [graph({"roles": ["decode"]})], [], id="a newer field"),
        pytest.param(
            GRAPHS,
            [graph({"type": "router"}, state="degraded")],
            [
                "deployment: spec.components.0.type is router, which this version does not know",
                "deployment: status.state is degraded, which this version does not know",
            ],
            id="newer words",
        ),
        pytest.param(REQUESTS, [request(surprise={"x": 1})], [], id="a newer field of the request"),
        pytest.param(
            REQUESTS,
            [request(backend="tgi")],
            ["request: spec.backend is tgi, which this version does not know"],
            id="a newer word of the request",
        ),
    ],
)
def test_what_cannot_be_read_hides_nothing_else(
    held: Held, source: KubeSource, resource: str, there: Any, remarks: list[str]
) -> None:
    held.objects = whole() | {resource: there}
    view = look(source, "q", "team")
    assert view.phase == "Deployed"
    assert len(view.remarks) == len(remarks)
    for said, wanted in zip(view.remarks, remarks, strict=True):
        assert said.startswith(wanted)
        assert "\n" not in said
    assert (view.deployment is None) is (resource == GRAPHS and there == 403)
    assert (view.planner is None) is (resource == PLANNERS)


def test_a_request_of_another_shape_is_said_in_one_line(held: Held, source: KubeSource) -> None:
    held.objects = {REQUESTS: [{**request(), "spec": {}}]}
    with pytest.raises(Unreadable, match=r"than this version knows: spec\.model: Field required$"):
        look(source, "q", "team")


def test_a_phase_of_a_newer_version_is_shown_and_hides_no_other_request(
    held: Held, source: KubeSource
) -> None:
    odd = {**request("odd"), "status": {"phase": "Ready", "conditions": "none"}}
    held.objects = whole() | {REQUESTS: [request("new", "Rolling"), request("old"), odd]}
    listed = source.list_requests("team")
    assert [(one.name, phase_text(one.status, one.phase)) for one in listed] == [
        ("new", "Rolling"),
        ("odd", "Ready"),
        ("old", "Deployed"),
    ]
    assert look(source, "new", "team").phase == "Rolling"


def test_a_cluster_without_the_kinds_is_no_empty_one(source: KubeSource) -> None:
    for ask in (lambda: source.list_requests("team"), lambda: look(source, "q", "team")):
        with pytest.raises(NotThere, match="the kinds are not installed"):
            ask()


@pytest.mark.parametrize(("own", "other"), [(REQUESTS, BESIDE), (BESIDE, REQUESTS)])
def test_rights_in_the_group_that_is_used_do(
    held: Held, source: KubeSource, own: str, other: str
) -> None:
    held.objects = whole() | {own: [request()], other: 403}
    assert [one.name for one in source.list_requests("team")] == ["q"]
    assert look(source, "q", "team").phase == "Deployed"
    with pytest.raises(NotThere, match="no request other"):
        look(source, "other", "team")
    held.objects[own] = 403
    with pytest.raises(Unreachable, match=r"the cluster refused: \w+ is forbidden"):
        source.list_requests("team")


def test_a_deployment_is_adopted_without_rights_in_the_other_group(
    held: Held, source: KubeSource
) -> None:
    held.objects = whole() | {BESIDE: 403}
    running = source.find_graph("q-dgd", "team")
    assert running is not None
    assert running.requests == "nvidia.com/v1beta1"


def test_a_planner_is_explained_without_rights_beside_it(held: Held, source: KubeSource) -> None:
    with pytest.raises(Unreachable, match="the cluster refused: the kind is not installed"):
        source.find_planner("q-dgd", "team")
    held.objects = {PLANNERS: [sla_planner(budget={"ref": "team"})]}
    held.objects |= dict.fromkeys((GRAPHS, MAPS, "gpubudgets.dgdr.dev"), 403)
    found = source.find_planner("q-dgd", "team")
    assert found is not None
    assert (found.curves, found.budget, found.target) == (None, None, None)
