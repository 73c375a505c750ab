"""Whether vLLM's own parser takes the arguments that we generate: it runs in a pod of its image."""

import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from hack.demo.kube import Kube, wait_for
from hack.demo.platform import ROOT

GOLDENS = ROOT / "tests/golden/engines/vllm"
MANIFEST = ROOT / "hack/real_engine/flags.yaml"
NAMESPACE, POD = "dgdr-real", "flags"
# What the image's release is known not to take: roles of releases before 1.0 were switches.
OLDER = "release-0.9"


def generated_arguments() -> dict[str, list[str]]:
    """Return each list of arguments in the golden files, by file and component."""
    return {
        f"{path.stem}/{component['name']}": list(args)
        for path in sorted(GOLDENS.glob("*.yaml"))
        if OLDER not in path.stem
        for component, args in _arguments(path)
    }


def _arguments(path: Path) -> Iterator[tuple[dict[str, str], list[str]]]:
    for component in yaml.safe_load(path.read_text())["spec"]["components"]:
        main = component["podTemplate"]["spec"]["containers"][0]
        if "dynamo.vllm" in main.get("command", ()):
            yield component, main["args"]


def refused(kube: Kube, arguments: dict[str, list[str]]) -> dict[str, str]:
    """Return which lists the parser in the image refuses, and its words."""
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "arguments", "namespace": NAMESPACE},
            "data": {"arguments.json": json.dumps(arguments)},
        }
    )
    kube.apply_file(MANIFEST)
    wait_for("the parser", lambda: _ended(kube), timeout_s=300)
    last = kube.run("logs", POD, "--namespace", NAMESPACE).strip().splitlines()[-1]
    found: dict[str, str] = json.loads(last)
    return found


def _ended(kube: Kube) -> bool:
    pod = kube.get("pod", POD, NAMESPACE) or {}
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
