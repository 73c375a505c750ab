"""An object of one version as the same object in the other.

v1beta1 is what is stored. There and back is the object again, whatever it holds, and an edit in
between changes what it edits: what the other version cannot say goes with the object in
annotations (``notes``), and is put back where nobody has touched it since (``kept``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dgdr_api.conversion import dgd_spec, dgdr_spec, scaling_adapter, statuses, upstream_words
from dgdr_api.conversion.kept import ABSENT, Kept, kept, same
from dgdr_api.conversion.merging import apart, merged
from dgdr_api.conversion.notes import GROUP, Convert, Json, Note, annotation, taken
from dgdr_api.reading import CodecError

ALPHA, BETA = f"{GROUP}/v1alpha1", f"{GROUP}/v1beta1"
_METADATA, _ANNOTATIONS = "metadata", "annotations"


@dataclass(frozen=True, slots=True)
class Part:
    """Spec or status of a kind, and what each version can say of the other's."""

    field: str
    to_v1beta1: Convert
    to_v1alpha1: Convert
    completed: Callable[[Json, Json], Json] = lambda hub, said: hub
    """What upstream stored, with what its note implies."""
    worded: Callable[[Json, Json], tuple[Json, Json]] = lambda spec, said: (spec, said)
    """A v1alpha1 spec in the words of upstream's note, and what the note has beside them."""
    whole: Callable[[Json, Json, Note], Json] = lambda hub, live, note: hub
    """A v1beta1 spec with what it may not lack beside an edit, as it stands in ``live``."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind with two versions; ``short`` names it in annotations."""

    short: str
    parts: tuple[Part, ...]


KINDS: Mapping[str, Kind] = {
    "DynamoGraphDeploymentRequest": Kind(
        "dgdr",
        (
            Part(
                "spec",
                dgdr_spec.to_v1beta1,
                dgdr_spec.to_v1alpha1,
                whole=dgdr_spec.with_both_targets,
            ),
            Part("status", statuses.request_to_v1beta1, statuses.request_to_v1alpha1),
        ),
    ),
    "DynamoGraphDeployment": Kind(
        "dgd",
        (
            Part(
                "spec",
                dgd_spec.to_v1beta1,
                dgd_spec.to_v1alpha1,
                dgd_spec.completed,
                upstream_words.worded,
            ),
            Part("status", statuses.deployment_to_v1beta1, statuses.deployment_to_v1alpha1),
        ),
    ),
    "DynamoGraphDeploymentScalingAdapter": Kind(
        "dgdsa",
        (Part("spec", scaling_adapter.to_v1beta1, scaling_adapter.to_v1alpha1),),
    ),
}


NOTES = frozenset(
    f"{GROUP}/{kind.short}-{part.field}" for kind in KINDS.values() for part in kind.parts
)
"""Annotations in which an object carries what its version cannot say."""


def converted(manifest: Json, api_version: str) -> dict[str, Any]:
    """Return the object in that version; nothing is checked, and nothing is dropped.

    Raises:
        CodecError: the kind or one of the versions is not ours.
    """
    name, own = manifest.get("kind"), manifest.get("apiVersion")
    kind = KINDS.get(str(name))
    if kind is None or {own, api_version} - {ALPHA, BETA}:
        wanted = f"one of {', '.join(KINDS)} in {ALPHA} or {BETA}"
        raise CodecError("apiVersion, kind", f"{own} {name} as {api_version}", wanted)
    result = dict(manifest)
    if own == api_version:
        return result
    for part in kind.parts:
        result = _converted(result, kind.short, part, api_version)
    return {**result, "apiVersion": api_version}


def _converted(manifest: Json, kind: str, part: Part, api_version: str) -> dict[str, Any]:
    note, annotations = taken(_annotations(manifest), kind, part.field)
    said = manifest.get(part.field, ABSENT)
    try:
        value, left = _merged(said, note, part, api_version)
    except Exception:
        if note is None:
            raise
        # Anybody can write a note; one that fits nothing must not hold up every list.
        value, left = _merged(said, None, part, api_version)
    if left is not None and (part.field == "spec" or isinstance(said, Mapping)):
        annotations |= annotation(kind, part.field, left)
    result = _with(manifest, part.field, value)
    return result if _annotations(manifest) == annotations else _annotated(result, annotations)


def _merged(said: Any, note: Note | None, part: Part, api_version: str) -> tuple[Any, Kept | None]:
    """Return a part in the other version, with its note, and what is to be kept of it."""
    there, back = part.to_v1beta1, part.to_v1alpha1
    if api_version == ALPHA:
        there, back = back, there
    back = _Remembered(back)
    is_upstreams = note is not None and note.is_upstreams and api_version == ALPHA
    if note and is_upstreams and isinstance(said, Mapping):
        said = part.completed(said, note.said)
    value: Any = there(said) if isinstance(said, Mapping) else ABSENT
    if note and is_upstreams and isinstance(value, Mapping):
        value, left = part.worded(value, note.said)
        note = replace(note, said=left)
    if note is not None:
        live, value = value, _with_words(said, value, note, there, back)
        if api_version == BETA and isinstance(value, Mapping):
            value = part.whole(value, live, note)
    return value, kept(said, back(value) if isinstance(value, Mapping) else ABSENT)


class _Remembered:
    """A conversion that is asked for the same value twice."""

    def __init__(self, convert: Convert) -> None:
        self._convert = convert
        self._last: tuple[Json, dict[str, Any]] | None = None

    def __call__(self, value: Json) -> dict[str, Any]:
        if self._last is None or self._last[0] is not value:
            self._last = value, self._convert(value)
        return self._last[1]


def _with_words(said: Any, live: Any, note: Note, there: Convert, back: Convert) -> Any:
    """Return the live value with the words of a note that mean what is there."""
    if note.is_upstreams:
        return note.laid_under(live, lambda own: there(back(own)))
    meant: list[Any] = []

    def wrong(value: Any) -> set[tuple[str, ...]]:
        means = back(value) if isinstance(value, Mapping) else ABSENT
        if same(means, said):
            return set()
        if not meant:
            meant.append(back(live) if isinstance(live, Mapping) else ABSENT)
        return set(apart(means, said, meant[0]))

    return merged(note.said, ABSENT if note.read is None else note.read, live, wrong)


def _with(manifest: Json, field: str, value: Any) -> dict[str, Any]:
    """Return the manifest with a field in its old place."""
    if value is ABSENT:
        return {key: one for key, one in manifest.items() if key != field}
    return {**manifest, field: value}


def _annotations(manifest: Json) -> dict[str, Any]:
    metadata = manifest.get(_METADATA)
    found = metadata.get(_ANNOTATIONS) if isinstance(metadata, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def _annotated(manifest: dict[str, Any], annotations: Json) -> dict[str, Any]:
    metadata = manifest.get(_METADATA)
    rest = dict(metadata) if isinstance(metadata, Mapping) else {}
    if annotations:
        return {**manifest, _METADATA: {**rest, _ANNOTATIONS: dict(annotations)}}
    rest.pop(_ANNOTATIONS, None)
    return _with(manifest, _METADATA, rest or ABSENT)
