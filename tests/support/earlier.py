"""What earlier versions of the chart left behind, put onto a real API server."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dgdr_api.names import profile_data_config_map

from .cluster import TestCluster

Manifest = dict[str, Any]

KEPT = Path(__file__).resolve().parents[1] / "integration/earlier_charts"
VERSIONS = sorted(path.stem for path in KEPT.glob("*.tgz"))
DGDR = "DynamoGraphDeploymentRequest"
DGD = "DynamoGraphDeployment"
# Of others controllers of the cluster report.
REPORTED = (DGDR, DGD, "DynamoGraphDeploymentScalingAdapter")
_BORN = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")


def chart(version: str) -> Path:
    """Return the packed chart."""
    return KEPT / f"{version}.tgz"


def phases(version: str) -> dict[str, list[Manifest]]:
    """Return the objects of each phase; those of one are in the namespace of its name."""
    found: dict[str, list[Manifest]] = json.loads((KEPT / f"{version}.json").read_text())
    return found


def put_back(where: TestCluster, objects: list[Manifest]) -> None:
    """Make the objects again, owners first, under the uids that this server gives them."""
    uids: dict[str, str] = {}
    waiting = list(objects)
    while waiting:
        ready = [one for one in waiting if _owners(one) <= uids.keys()]
        assert ready, f"owners are missing: {waiting}"
        for one in ready:
            made = _apply(where, _renamed(one, uids))
            uids[one["metadata"]["uid"]] = made["metadata"]["uid"]
            # A request's status names the request itself.
            _report(where, _renamed(one, uids), made)
        waiting = [one for one in waiting if one not in ready]


def _apply(where: TestCluster, manifest: Manifest) -> Manifest:
    kept = {key: value for key, value in manifest["metadata"].items() if key not in _BORN}
    wanted = {key: value for key, value in manifest.items() if key != "status"}
    manager = {DGDR: "kubectl", DGD: "dgdr-init"}.get(manifest["kind"], "dgdr-operator")
    applied = ("apply", "--server-side", "--field-manager", manager, "--output", "json", "-f", "-")
    text = json.dumps({**wanted, "metadata": kept})
    made: Manifest = json.loads(where.kubectl(*applied, stdin=text))
    return made


def _report(where: TestCluster, earlier: Manifest, made: Manifest) -> None:
    status, meta = earlier.get("status"), made["metadata"]
    if not status or made["kind"] not in REPORTED:
        return
    if status.get("observedGeneration") == earlier["metadata"]["generation"]:
        status = {**status, "observedGeneration": meta["generation"]}
    group = made["apiVersion"].partition("/")[0]
    what = (f"{made['kind'].lower()}.{group}", meta["name"], "--namespace", meta["namespace"])
    patch = (
        "--subresource",
        "status",
        "--type",
        "merge",
        "--patch",
        json.dumps({"status": status}),
    )
    where.kubectl("patch", *what, *patch)


def _owners(manifest: Manifest) -> set[str]:
    return {owner["uid"] for owner in manifest["metadata"].get("ownerReferences") or ()}


def _renamed(manifest: Manifest, uids: dict[str, str]) -> Manifest:
    """Return the object under the new uids; names of curves are made of one."""
    text = json.dumps(manifest)
    for old, new in _names(uids):
        text = re.sub(rf"{old}(?!\d)", new, text)
    renamed: Manifest = json.loads(text)
    return renamed


def _names(uids: dict[str, str]) -> Iterator[tuple[str, str]]:
    for old, new in uids.items():
        yield profile_data_config_map(old), profile_data_config_map(new)
        yield old, new
