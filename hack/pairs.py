"""What NVIDIA's operator made of manifests, beside what we make of them, field by field.

``python -m hack.manifests --pairs DIR`` reads folders of ``NNN.in.json``, ``NNN.out.json`` and
``NNN.render.json``: a manifest, what its conversion and webhooks answered, and what its
reconcilers rendered. Each difference has to have a reason in ``hack.pairs_reasons``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from dgdr_api import codec_v1beta1
from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_api.conversion.kept import by_name, same
from dgdr_operator.core.data_plane import DataPlane
from dgdr_operator.core.workloads import render_workloads
from dgdr_webhooks.core.verdict import verdict

Json = Mapping[str, Any]

NOTES = ("nvidia.com/dgdr-spec", "nvidia.com/dgdr-status", "nvidia.com/dgd-spec")
WORKLOADS = ("Deployment", "LeaderWorkerSet", "Service")
NAMESPACE = "ns1"
OWNER = {"apiVersion": BETA, "kind": "DynamoGraphDeployment", "name": "g", "uid": "u"}
# What stands in the name of each worker's objects, by a hash of its manifest.
_WORKER_HASH = re.compile(r"-[0-9a-f]{8}(?=$|-0$)")
_SERVICE = re.compile(r"\.services\.[^.\[]+")
_KNOWN = re.compile(r"\[(?!main\]|shared-memory\]|order\]|[A-Z_]{4,}\])[^\]]*\]")


class Check(StrEnum):
    """What is compared."""

    CONVERTED = "converted"
    STORED = "stored"
    READ = "read as v1alpha1"
    BACK = "ours, converted back by us"
    THEIRS_READ = "theirs, read as v1alpha1 by us"
    THEIRS_BACK = "theirs, converted back by us"
    REFUSED = "refused"
    RENDERED = "rendered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field that differs; None where it is not there."""

    check: Check
    where: str
    version: str
    path: str
    ours: Any
    theirs: Any

    @property
    def place(self) -> str:
        """The path without the names of services, components and entries."""
        return _KNOWN.sub("[]", _SERVICE.sub(".services[]", self.path))


def compared(folder: Path) -> Iterator[Difference]:
    """Yield every difference of the pairs below a folder."""
    for path in sorted(folder.rglob("*.in.json")):
        stem = str(path).removesuffix(".in.json")
        where = f"{path.parent.name}/{path.name.removesuffix('.in.json')}"
        given, answer = _read(path), _read(Path(f"{stem}.out.json"))
        yield from _of_conversion(where, given, answer)
        yield from _of_admission(where, given, answer)
        rendered = Path(f"{stem}.render.json")
        if rendered.exists():
            yield from _of_rendering(where, given, _read(rendered)["objects"])


def count(folder: Path) -> int:
    """Return how many pairs there are."""
    return sum(1 for _ in folder.rglob("*.in.json"))


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _of_conversion(where: str, given: Json, answer: Json) -> Iterator[Difference]:
    own = given["apiVersion"]
    other = BETA if own == ALPHA else ALPHA
    hub = converted(given, BETA)
    theirs = {check: answer[key] for check, key in _ANSWERS.items() if answer[key]}
    ours = {
        Check.CONVERTED: converted(given, other),
        Check.STORED: hub,
        Check.READ: converted(hub, ALPHA),
    }
    pairs = [(check, ours[check], found) for check, found in theirs.items()]
    pairs.append((Check.BACK, converted(ours[Check.CONVERTED], own), given))
    if Check.STORED in theirs and Check.READ in theirs:
        read = converted(theirs[Check.STORED], ALPHA)
        pairs.append((Check.THEIRS_READ, read, theirs[Check.READ]))
    if Check.CONVERTED in theirs:
        back = converted(theirs[Check.CONVERTED], own)
        pairs.append((Check.THEIRS_BACK, back, given))
    for check, left, right in pairs:
        for path, one, two in differences(_bare(left), _bare(right)):
            yield Difference(
                check=check, where=where, version=_version(given), path=path, ours=one, theirs=two
            )


_ANSWERS = {
    Check.CONVERTED: "converted",
    Check.STORED: "stored",
    Check.READ: "readAsV1alpha1",
}


def _version(given: Json) -> str:
    return str(given["apiVersion"]).rpartition("/")[2]


def _bare(manifest: Json) -> dict[str, Any]:
    """Return a manifest without notes, whose formats differ, and without what Go writes."""
    metadata = {**(manifest.get("metadata") or {})}
    notes = metadata.pop("annotations", None) or {}
    left = {key: one for key, one in notes.items() if key not in NOTES}
    metadata.pop("namespace", None)
    if left:
        metadata["annotations"] = left
    bare: dict[str, Any] = _without_blanks({**manifest, "metadata": metadata})
    if bare.get("status") in ({"state": ""}, {"state": "Pending"}, {"phase": "Pending"}):
        bare.pop("status")
    return bare


def _without_blanks(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_blanks(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    parts = {key: _without_blanks(one) for key, one in value.items()}
    blank = {"resources": {}, "name": "", "size": "0", "useAsCompilationCache": False}
    return {
        key: one
        for key, one in parts.items()
        if one is not None and not (key in blank and same(one, blank[key]))
    }


def _of_admission(where: str, given: Json, answer: Json) -> Iterator[Difference]:
    ours = {problem.field: str(problem) for problem in verdict(given, None).refusals}
    said = [*(answer["schemaErrors"] or ()), *(answer["webhookErrors"] or ())]
    theirs = {_field(one): str(one) for one in said}
    for field in dict.fromkeys((*ours, *theirs)):
        if (field in ours) != (field in theirs):
            yield Difference(
                check=Check.REFUSED,
                where=where,
                version=_version(given),
                path=field,
                ours=ours.get(field),
                theirs=theirs.get(field),
            )


def _field(said: Any) -> str:
    if isinstance(said, Mapping):
        return str(said.get("Field"))
    return str(said).partition(": ")[0]


def _of_rendering(where: str, given: Json, objects: Sequence[Json]) -> Iterator[Difference]:
    named = {**given, "metadata": {**given["metadata"], "namespace": NAMESPACE}}
    graph = codec_v1beta1.decode(converted(named, BETA))
    made = render_workloads(graph, OWNER, DataPlane(groups=True))
    refused = {problem.component: problem.message for problem in made.problems}
    ours = {_key(one): one for one in made.manifests}
    theirs = {_key(one): one for one in objects}

    def found(path: str, one: Any, two: Any) -> Difference:
        return Difference(
            check=Check.RENDERED,
            where=where,
            version=_version(given),
            path=path,
            ours=one,
            theirs=two,
        )

    for name, why in refused.items():
        yield found(f"{name}: {why}", why, None)
    for key in dict.fromkeys((*ours, *theirs)):
        kind, name = key
        left, right = ours.get(key), theirs.get(key)
        if left is None or right is None:
            component = next((c for c in refused if name.endswith(f"-{c.lower()}")), None)
            if component is None:
                yield found(kind, left and name, right and name)
        elif kind in WORKLOADS:
            for path, one, two in differences(_comparable(left), _comparable(right)):
                yield found(f"{kind}{path}", one, two)


def _key(manifest: Json) -> tuple[str, str]:
    name = _WORKER_HASH.sub("", manifest["metadata"]["name"])
    return manifest["kind"], name.removesuffix("-0")


def _comparable(manifest: Json) -> dict[str, Any]:
    """Return spec and labels; both templates of a group are at one place."""
    spec = dict(manifest["spec"])
    group = spec.pop("leaderWorkerTemplate", None)
    if group:
        spec["template"] = group["leaderTemplate"]
        spec["followers"] = {"template": group["workerTemplate"]}
        spec |= {key: one for key, one in group.items() if not key.endswith("Template")}
    found: dict[str, Any] = _without_blanks(
        {"labels": manifest["metadata"].get("labels") or {}, "spec": spec}
    )
    return found


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the paths that differ, with both values; entries with names are compared by them."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in dict.fromkeys((*ours, *theirs)):
            yield from differences(ours.get(key), theirs.get(key), f"{path}.{key}")
        return
    named = by_name(ours), by_name(theirs)
    if ours and theirs and named[0] is not None and named[1] is not None:
        for name in dict.fromkeys((*named[0], *named[1])):
            yield from differences(named[0].get(name), named[1].get(name), f"{path}[{name}]")
        if named[0].keys() == named[1].keys() and list(named[0]) != list(named[1]):
            yield f"{path}[order]", list(named[0]), list(named[1])
    elif not same(ours, theirs):
        yield path, ours, theirs
