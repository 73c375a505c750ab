"""``python3 -m hack.manifests DIR...``: every manifest of a folder, in both versions.

Boots a light cluster with the chart's kinds and webhooks, and for each request, deployment and
adapter below the folders: applies it strictly, as kubectl does; reads it back in its own version
and in the other one; writes that other one anew in its place; and compares. Prints a table
by outcome, then what was refused or lost, then what the accepted ones become. Exit code 1:
something was lost, or a program raised what it should have said.

``--pairs DIR``: no cluster; each manifest beside what NVIDIA's operator answered (``hack.pairs``).
Exit code 1: a difference has no reason.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hack.becomes import RAISED, RUNS, Becomes, becomes
from hack.light_webhooks import NAME, LightWebhooks
from hack.pairs_report import UNEXPLAINED, pairs_report
from hack.rest import Answer, Rest

ROOT = Path(__file__).resolve().parents[1]
SPACE = "manifests"
PLURALS = {
    "DynamoGraphDeploymentRequest": "dynamographdeploymentrequests",
    "DynamoGraphDeployment": "dynamographdeployments",
    "DynamoGraphDeploymentScalingAdapter": "dynamographdeploymentscalingadapters",
}
OTHER = {"v1alpha1": "v1beta1", "v1beta1": "v1alpha1"}
PATIENCE_S = 60.0


@dataclass
class Outcome:
    """What became of one manifest."""

    where: str
    kind: str
    version: str
    result: str
    detail: str = ""
    warnings: tuple[str, ...] = field(default=())
    becomes: Becomes | None = None


def manifests(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of our kinds in the files of a folder, each with its place."""
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".yaml", ".yml", ".json"):
            continue
        try:
            documents = _documents(path)
        except (ValueError, yaml.YAMLError):
            yield str(path.relative_to(folder)), {}
            continue
        for number, one in enumerate(documents):
            if isinstance(one, dict) and _is_ours(one):
                suffix = f"#{number}" if len(documents) > 1 else ""
                yield f"{path.relative_to(folder)}{suffix}", one


def _documents(path: Path) -> list[Any]:
    text = path.read_text()
    if path.suffix == ".json":
        return [json.loads(text)]
    # The loader in C, where there is one: a thousand manifests take a minute without.
    return list(yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def _is_ours(document: dict[str, Any]) -> bool:
    versions = [f"nvidia.com/{version}" for version in OTHER]
    return document.get("kind") in PLURALS and document.get("apiVersion") in versions


class Trial:
    """One manifest after the other, on one cluster."""

    def __init__(self, rest: Rest) -> None:
        self._rest, self._count = rest, 0

    def run(self, where: str, given: dict[str, Any]) -> Outcome:
        """Apply, read, write in the other version, compare, and delete."""
        if not given:
            return Outcome(where, "", "", "no YAML")
        kind, version = given["kind"], given["apiVersion"].rpartition("/")[2]
        self._count += 1
        own = json.loads(json.dumps(given, default=str))
        name = self._name(own)
        own["metadata"] = {
            key: one
            for key, one in (own.get("metadata") or {}).items()
            if key in ("labels", "annotations")
        } | {"name": name}
        own.pop("status", None)
        made = self._create(own, version)
        stored = self._rest.call("GET", self._path(kind, "v1beta1", name)) if made.ok else None
        try:
            found = self._judged(where, own, made, kind, version)
            if stored is not None and stored.ok:
                found.becomes = becomes(stored.body, self._rest)
            return found
        finally:
            self._rest.call("DELETE", self._path(kind, "v1beta1", name))

    def _name(self, given: dict[str, Any]) -> str:
        """Return its own name where it has a possible one: rules look at its length."""
        name = str((given.get("metadata") or {}).get("name") or "")
        fits = name and all((c.isalnum() and c.islower()) or c.isdigit() or c in "-." for c in name)
        return name if fits else f"m{self._count}"

    def _judged(
        self, where: str, own: dict[str, Any], made: Answer, kind: str, version: str
    ) -> Outcome:
        if not made.ok:
            return Outcome(where, kind, version, _refusal(made), made.message, made.warnings)
        name, other = own["metadata"]["name"], OTHER[version]
        read = self._rest.call("GET", self._path(kind, version, name))
        there = self._rest.call("GET", self._path(kind, other, name))
        for answer in (read, there):
            if not answer.ok:
                return Outcome(where, kind, version, "not readable", answer.message, made.warnings)
        if lost := _differences(own.get("spec"), read.body.get("spec"), "spec"):
            return Outcome(where, kind, version, "LOST", "; ".join(lost), made.warnings)
        self._rest.call("DELETE", self._path(kind, "v1beta1", name))
        again = self._again(there.body, name)
        if not again.ok:
            what = f"other version: {_refusal(again)}"
            return Outcome(where, kind, version, what, again.message, made.warnings)
        back = self._rest.call("GET", self._path(kind, version, name))
        if lost := _differences(own.get("spec"), back.body.get("spec"), "spec"):
            what = "LOST in the other version"
            return Outcome(where, kind, version, what, "; ".join(lost), made.warnings)
        return Outcome(where, kind, version, "same in both", "", made.warnings)

    def _again(self, found: dict[str, Any], name: str) -> Answer:
        """Write what was read in the other version as a new object."""
        metadata = found["metadata"]
        kept = {key: metadata[key] for key in ("labels", "annotations") if key in metadata}
        fresh = {key: one for key, one in found.items() if key != "status"}
        fresh["metadata"] = {**kept, "name": name}
        return self._create(fresh, found["apiVersion"].rpartition("/")[2])

    def _create(self, manifest: dict[str, Any], version: str) -> Answer:
        path = self._path(manifest["kind"], version)
        return self._rest.call("POST", f"{path}?fieldValidation=Strict", manifest)

    @staticmethod
    def _path(kind: str, version: str, name: str = "") -> str:
        tail = f"/{name}" if name else ""
        return f"/apis/nvidia.com/{version}/namespaces/{SPACE}/{PLURALS[kind]}{tail}"


def _refusal(answer: Answer) -> str:
    if "admission webhook" in answer.message:
        return "refused by a webhook"
    if "strict decoding error" in answer.message:
        return "unknown field"
    return "refused by the schema" if answer.status in (400, 422) else f"error {answer.status}"


def _differences(given: Any, found: Any, path: str) -> list[str]:
    """Return the paths that differ; null and absent are one, as the API server has it."""
    if isinstance(given, dict) and isinstance(found, dict):
        keys = dict.fromkeys((*given, *found))
        return [
            one
            for key in keys
            for one in _differences(given.get(key), found.get(key), f"{path}.{key}")
        ]
    if isinstance(given, list) and isinstance(found, list) and len(given) == len(found):
        pairs = enumerate(zip(given, found, strict=True))
        return [one for n, (a, b) in pairs for one in _differences(a, b, f"{path}[{n}]")]
    return [] if (given == found and type(given) is type(found)) or given == found else [path]


def report(outcomes: Sequence[Outcome]) -> str:
    """Return the table, and what a person has to look at."""
    table = Counter((one.kind, one.version, one.result) for one in outcomes)
    lines = [
        f"{count:5}  {version:9} {kind:38} {result}"
        for (kind, version, result), count in sorted(table.items())
    ]
    lines += [
        "",
        f"{len(outcomes)} manifests, {sum(bool(o.warnings) for o in outcomes)} with warnings",
        "",
    ]
    odd = [one for one in outcomes if one.result != "same in both"]
    lines += [f"{one.where}: {one.result}: {one.detail[:600]}" for one in odd]
    lines += ["", *_rendered(outcomes)]
    said = Counter(_general(text) for one in outcomes for text in one.warnings)
    lines += ["", "warnings:", *(f"{count:5}  {text}" for text, count in said.most_common(60))]
    return "\n".join(lines)


def _rendered(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Say what the accepted ones become, and which of them do not run whole."""
    made = [(one, one.becomes) for one in outcomes if one.becomes is not None]
    table = Counter((one.version, one.kind, found.result) for one, found in made)
    for (version, kind, result), count in sorted(table.items()):
        yield f"{count:5}  {version:9} {kind:38} {result}"
    yield ""
    for one, found in made:
        if found.result != RUNS:
            yield f"{one.where}: {found.result}: {found.detail[:600]}"


def _general(warning: str) -> str:
    """Return a warning without the names of services and components."""
    path, colon, rest = warning.partition(": ")
    parts = path.split(".")
    if parts[:2] == ["spec", "services"] and len(parts) > 2:
        parts[2] = "*"
    return f"{'.'.join(parts)}{colon}{rest}"


def main(arguments: Sequence[str]) -> int:
    """Boot, try all, report, and leave nothing behind."""
    parser = argparse.ArgumentParser(prog="hack.manifests", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--pairs", type=Path)
    given = parser.parse_args(arguments)
    if given.pairs:
        print(said := pairs_report(given.pairs))
        return 1 if UNEXPLAINED in said else 0
    folders = given.folders
    found = [one for folder in folders for one in manifests(folder)]
    name = f"manifests-{os.getpid()}"
    _tool("up", "--tier", "light", "--name", name, "--owner", str(os.getpid()))
    try:
        outcomes = _tried(json.loads(_tool("status", "--json", "--name", name)), found)
    finally:
        _tool("down", "--name", name)
    print(report(outcomes))
    raised = any(one.becomes is not None and one.becomes.result == RAISED for one in outcomes)
    return 1 if raised or any("LOST" in one.result for one in outcomes) else 0


def _tried(status: dict[str, Any], found: Sequence[tuple[str, dict[str, Any]]]) -> list[Outcome]:
    kubeconfig, tools = Path(status["kubeconfig"]), Path(status["bin_dir"])

    def kubectl(*arguments: str, stdin: str = "") -> str:
        command = [str(tools / "kubectl"), f"--kubeconfig={kubeconfig}", *arguments]
        return _run(command, stdin)

    with tempfile.TemporaryDirectory() as folder:
        own = LightWebhooks(kubectl, kubeconfig, tools, status["host_ip"], Path(folder))
        own.install()
        kubectl("create", "namespace", SPACE)
        own.start()
        rest = Rest(kubeconfig)
        try:
            _wait_for_trust(rest)
            trial = Trial(rest)
            return [trial.run(where, one) for where, one in found]
        finally:
            rest.close()
            own.stop()
            if failed := [line for line in own.log().splitlines() if " ERROR " in line]:
                print("\n".join(failed), file=sys.stderr)


def _wait_for_trust(rest: Rest) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    end_s = time.monotonic() + PATIENCE_S
    while True:
        webhooks = rest.call("GET", f"{path}/{NAME}").body.get("webhooks", [])
        if webhooks and all(one["clientConfig"].get("caBundle") for one in webhooks):
            return
        if time.monotonic() > end_s:
            raise SystemExit(f"webhooks are not trusted after {PATIENCE_S:.0f} s")
        time.sleep(0.2)


def _tool(*arguments: str) -> str:
    return _run([sys.executable, "-m", "hack.cluster", *arguments])


def _run(command: Sequence[str], stdin: str = "") -> str:
    done = subprocess.run(
        command, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
