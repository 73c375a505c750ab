"""What is to say about an object before it is stored: refusals, and warnings.

The same functions as the operator's passes use decide: ``validate``, ``validate_graph``,
``doubts``, ``fields_without_effect`` and ``planner_notes`` of ``dgdr_api``. Only how deep something
is nested is asked here alone: what is stored runs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from dgdr_api import codec_v1beta1
from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_api.conversion.room import too_long
from dgdr_api.conversion.unsaid import unsaid
from dgdr_api.depth import too_deep
from dgdr_api.doubts import doubts
from dgdr_api.effective import effective
from dgdr_api.fields_without_effect import fields_without_effect
from dgdr_api.models.dgdr_rules import TTFT_WITHOUT_ITL
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_api.planner_notes import planner_notes
from dgdr_api.problem import Problem, from_validation
from dgdr_api.reading import CodecError, object_of
from dgdr_api.validate import locked_change, refusals, troubles
from dgdr_api.validate_graph import graph_problems, not_run
from dgdr_webhooks.core.words import path_in_v1alpha1, with_names

Json = Mapping[str, Any]

REQUEST, GRAPH = "DynamoGraphDeploymentRequest", "DynamoGraphDeployment"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why an object may not be stored, and what its author should know if it is."""

    refusals: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def verdict(new: Json, old: Json | None) -> Verdict:
    """Return what is to say about an object of either version.

    What was stored as it is already blocks no other edit.

    Args:
        new: the object as it is to be stored.
        old: as it is stored; None where it is created.
    """
    is_same = old is not None and old.get("spec") == new.get("spec")
    if is_same and _annotations(old) == _annotations(new):
        return Verdict()
    if not is_same and (deep := _grown_deep(new, old or {})):
        return Verdict(deep)
    long = too_long(new)
    long = None if long and old is not None and too_long(old) else long
    if is_same or long:
        return Verdict((long,) if long else ())
    hub = converted(new, BETA)
    found = _of_request(new, hub) if new.get("kind") == REQUEST else _of_graph(new, hub)
    before = converted(old, BETA) if old is not None else None
    known = set() if old is None or before is None else _known(old, before)
    new_ones = tuple(one for one in found.refusals if with_names(str(one), hub) not in known)
    if before is not None and new.get("kind") == REQUEST:
        new_ones = (*filter(None, [locked_change(before, hub)]), *new_ones)
    is_alpha = new.get("apiVersion") == ALPHA
    warned = (*found.warnings, *(_kept(new) if is_alpha else ()))
    if is_alpha:
        new_ones = tuple(replace(p, field=path_in_v1alpha1(p.field, hub)) for p in new_ones)
    return Verdict(new_ones, warned)


def _annotations(manifest: Json | None) -> Any:
    return object_of((manifest or {}).get("metadata")).get("annotations") or {}


def _grown_deep(new: Json, old: Json) -> tuple[Problem, ...]:
    known = {with_names(one.field, old) for one in too_deep(old)}
    return tuple(one for one in too_deep(new) if with_names(one.field, new) not in known)


def _known(old: Json, hub: Json) -> set[str]:
    found = _of_request(old, hub) if old.get("kind") == REQUEST else _of_graph(old, hub)
    return {with_names(str(one), hub) for one in found.refusals}


def _of_request(own: Json, hub: Json) -> Verdict:
    metadata = hub.get("metadata") or {}
    try:
        spec = DGDRSpec.model_validate(hub.get("spec"))
    except ValidationError as exc:
        return Verdict(from_validation(exc, "spec"))
    found = refusals(spec, str(metadata.get("name") or ""))
    if own.get("apiVersion") == ALPHA:
        # That version has a default for each of the two.
        found = tuple(one for one in found if one.message != TTFT_WITHOUT_ITL)
    planner = effective(spec).planner or {}
    later = [f"{one} (until then the request fails)" for one in troubles(spec)]
    return Verdict(found, _in_words((*later, *doubts(spec), *planner_notes(planner)), own, hub))


def _of_graph(own: Json, hub: Json) -> Verdict:
    found = graph_problems(own)
    try:
        graph = codec_v1beta1.decode(hub)
    except CodecError:
        return Verdict(found)
    idle = [f"{field}: accepted, without effect" for field in fields_without_effect(graph)]
    whole = [(f"spec.components[{one.name}]", not_run(one)) for one in graph.components]
    later = [f"{path}: {why}" for path, why in whole if why]
    return Verdict(found, tuple(_named(one, own) for one in (*idle, *later)))


def _in_words(sentences: Iterable[str], own: Json, hub: Json) -> tuple[str, ...]:
    """Return sentences that begin with a path in the words of the object's own version."""
    if own.get("apiVersion") != ALPHA:
        return tuple(sentences)
    return tuple(path_in_v1alpha1(one, hub) for one in sentences)


def _named(field: str, own: Json) -> str:
    if own.get("apiVersion") != ALPHA:
        return field
    return field.replace("spec.components[", "spec.services[", 1)


def _kept(own: Json) -> Iterable[str]:
    found = unsaid(own)
    yield from (f"{path}: kept, without effect" for path in found.paths)
    if found.untried:
        yield f"and {found.untried} more that may be kept without effect"
