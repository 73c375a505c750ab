"""The SLAPlanner of a deployment that somebody already runs."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dgdr_api.conversion import BETA, converted
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_cli.adopt import Wanted, adopted
from dgdr_cli.app import app
from dgdr_cli.errors import CliError
from dgdr_cli.found import Running

TARGETS = Wanted(ttft_ms=300, itl_ms=30)


def service(role: str, gpus: int, replicas: int) -> dict[str, Any]:
    return {
        "componentType": "worker",
        "subComponentType": role,
        "replicas": replicas,
        "resources": {"limits": {"gpu": str(gpus)}},
        "extraPodSpec": {
            "mainContainer": {
                "image": "registry.example.com/vllm-runtime:1.0.2",
                "command": ["python3", "-m", "dynamo.vllm"],
                "args": ["--model", "Qwen/Qwen3-0.6B", "--disaggregation-mode", role],
            }
        },
    }


def running(planner: dict[str, Any] | None = None, curves: tuple[str, ...] = ()) -> Running:
    services = {
        "Frontend": {"componentType": "frontend", "replicas": 1},
        "VllmPrefillWorker": service("prefill", 1, 2),
        "VllmDecodeWorker": service("decode", 2, 1),
    }
    if planner is not None:
        services["Planner"] = planner
    dgd = {
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "chat", "namespace": "team"},
        "spec": {"backendFramework": "vllm", "services": services},
    }
    return Running(dgd=converted(dgd, BETA), curves=frozenset(curves), requests="dgdr.dev/v1beta1")


def nvidias(*arguments: str, volume: str | None = None, replicas: int = 1) -> dict[str, Any]:
    volumes = [] if volume is None else [{"name": "p", "configMap": {"name": volume}}]
    main = {"image": "planner:1.0.2", "args": list(arguments)}
    return {
        "componentType": "planner",
        "replicas": replicas,
        "extraPodSpec": {"volumes": volumes, "mainContainer": main},
    }


def test_roles_gpus_and_limits_are_those_that_run() -> None:
    found = adopted(running(curves=("mine",)), Wanted(ttft_ms=300, itl_ms=30, profile="mine"))
    (manifest,) = found.manifests
    planner = SLAPlanner.parse(manifest)
    assert planner.spec.target_ref.name == "chat"
    assert planner.spec.profile.config_map_ref.name == "mine"
    assert manifest["spec"]["roles"] == {
        "prefill": {"min": 1, "max": 2},
        "decode": {"min": 1, "max": 1},
    }
    assert manifest["spec"]["budget"] == {"gpus": 4}
    assert "4 GPUs" in found.remarks[0]


def test_more_gpus_are_shared_between_the_roles() -> None:
    wanted = Wanted(ttft_ms=300, itl_ms=30, max_gpus=12, profile="mine")
    found = adopted(running(curves=("mine",)), wanted)
    assert found.manifests[0]["spec"]["roles"] == {
        "prefill": {"min": 1, "max": 10},
        "decode": {"min": 1, "max": 5},
    }
    assert found.manifests[0]["spec"]["budget"] == {"gpus": 12}
    assert not any("--max-gpus" in remark for remark in found.remarks)


def test_without_curves_there_is_a_request_that_measures_them_and_deploys_nothing() -> None:
    found = adopted(running(), TARGETS)
    request, planner = found.manifests
    assert request["apiVersion"] == "dgdr.dev/v1beta1"
    spec = DGDRSpec.model_validate(request["spec"])
    assert (spec.model, spec.auto_apply) == ("Qwen/Qwen3-0.6B", False)
    assert spec.image == "registry.example.com/vllm-runtime:1.0.2"
    curves = planner["spec"]["profile"]["configMapRef"]["name"]
    assert curves == f"dgdr-output-{request['metadata']['name']}"
    assert "has no curves" in found.remarks[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--ttft", "200", "--itl", "20", "--max-gpu-budget", "12"),
        ("--ttft=200 --itl=20 --max-gpu-budget=12",),
        ("--config", json.dumps({"ttft": 200, "itl": 20, "max_gpu_budget": 12})),
    ],
)
def test_a_planner_of_nvidias_says_targets_limits_and_curves(arguments: tuple[str, ...]) -> None:
    planner = nvidias(*arguments, volume="planner-profile-data-1")
    found = adopted(running(planner, curves=("planner-profile-data-1",)), Wanted())
    (manifest,) = found.manifests
    assert manifest["spec"]["sla"] == {"ttftMs": 200, "itlMs": 20}
    assert manifest["spec"]["budget"] == {"gpus": 12}
    assert manifest["spec"]["profile"]["configMapRef"]["name"] == "planner-profile-data-1"
    # Two planners would undo each other's work.
    assert manifest["spec"]["mode"] == "Shadow"
    assert "component Planner" in found.remarks[0]


def test_a_planner_of_nvidias_that_is_switched_off_leaves_the_scaling_to_us() -> None:
    planner = nvidias("--ttft", "200", "--itl", "20", replicas=0)
    found = adopted(running(planner, curves=("planner-profile-data",)), Wanted())
    assert found.manifests[0]["spec"].get("mode", "Active") == "Active"


def test_curves_that_nothing_of_the_deployment_names_are_not_its_own() -> None:
    found = adopted(running(curves=("planner-profile-data",)), TARGETS)
    request, planner = found.manifests
    assert request["kind"] == "DynamoGraphDeploymentRequest"
    assert planner["spec"]["profile"]["configMapRef"]["name"] == "dgdr-output-chat-profile"


@pytest.mark.parametrize(
    ("planner", "name", "wanted"),
    [
        pytest.param(nvidias(), "planner-profile-data", TARGETS, id="a planner of NVIDIA's"),
        pytest.param(nvidias(volume="p-1"), "p-1", TARGETS, id="mounted by it"),
        pytest.param(None, "dgdr-output-chat-profile", TARGETS, id="measured before"),
        pytest.param(
            None, "mine", Wanted(ttft_ms=300, itl_ms=30, profile="mine"), id="named by the user"
        ),
    ],
)
def test_a_remark_names_the_curves(
    planner: dict[str, Any] | None, name: str, wanted: Wanted
) -> None:
    found = adopted(running(planner, curves=(name,)), wanted)
    assert found.manifests[-1]["spec"]["profile"]["configMapRef"]["name"] == name
    assert f"ConfigMap {name}:" in found.remarks[-1]


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        pytest.param(Wanted(ttft_ms=300), "--ttft-ms and --itl-ms", id="no targets"),
        pytest.param(
            Wanted(ttft_ms=300, itl_ms=30, profile="gone"), "those that do: mine", id="no curves"
        ),
        pytest.param(Wanted(ttft_ms=300, itl_ms=30, max_gpus=2), "--max-gpus", id="too few GPUs"),
    ],
)
def test_what_cannot_be_read_has_to_be_said(wanted: Wanted, why: str) -> None:
    with pytest.raises(CliError, match=why):
        adopted(running(curves=("mine",)), wanted)


class Source:
    def __init__(self) -> None:
        self.made: list[Mapping[str, Any]] = []

    def find_graph(self, name: str, namespace: str | None) -> Running | None:
        return running() if name == "chat" else None

    def create(self, manifest: Mapping[str, Any]) -> None:
        self.made.append(manifest)


def test_nothing_is_made_unless_it_is_asked_for() -> None:
    source = Source()
    arguments = ["adopt", "chat", "--ttft-ms", "300", "--itl-ms", "30"]
    ran = CliRunner().invoke(app, arguments, obj=source)
    assert ran.exit_code == 0, ran.output
    assert source.made == []
    printed = list(yaml.safe_load_all(ran.stdout))
    ran = CliRunner().invoke(app, [*arguments, "--apply"], obj=source)
    assert ran.exit_code == 0, ran.output
    assert source.made == printed
