"""What is known of a request's model, and who says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dgdr_api.models.profiled_model import ProfiledModel
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.model import ModelFacts, merge
from dgdr_profiler.core.model_config import facts_of
from dgdr_profiler.core.stated_model import stated_facts
from dgdr_profiler.core.weights import with_folder


class FactsSource(StrEnum):
    """Who says what a model is, the most trusted first."""

    POLICY = "spec.model of the ProfilingPolicy"
    CLAIM = "config.json of the model cache"
    FOLDER = "config.json of the model's folder"
    HUB = "config.json of the hub"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """Facts of a model; ``facts`` is None where nobody says anything.

    ``place`` is the folder or address of the file that was read, ``tried`` what was looked for in
    vain, in words.
    """

    facts: ModelFacts | None = None
    sources: tuple[FactsSource, ...] = ()
    place: str | None = None
    tried: tuple[str, ...] = ()

    @property
    def basis(self) -> str:
        """On what a search rests, to be added to a sentence; empty where nobody was asked."""
        if self.sources:
            return f" by {' and '.join(self.sources)}"
        return " with nothing known of the model" if self.tried else ""

    def __str__(self) -> str:
        said = "nothing is known of the model"
        if self.sources:
            at = f" at {self.place}" if self.place else ""
            said = f"sizes of the model are those of {' and '.join(self.sources)}{at}"
        return "; ".join([said, *self.tried])

    def to_object(self) -> dict[str, Any]:
        """Return what the report says; unknown figures are null."""
        facts = self.facts or ModelFacts()
        return {
            "source": " and ".join(self.sources) or None,
            "place": self.place,
            "parameters": facts.parameters,
            "weightBytes": facts.weight_bytes,
            "contextLength": facts.context_length,
            "unknown": list(facts.unknown),
            "tried": list(self.tried),
        }


def known_model(said: ProfiledModel | None, read: KnownModel) -> KnownModel:
    """Return what is known when a user's words win over what was read, field by field."""
    stated = stated_facts(said)
    facts = merge(stated, read.facts)
    by_user = () if stated == ModelFacts() else (FactsSource.POLICY,)
    return KnownModel(
        facts=None if facts == ModelFacts() else facts,
        sources=(*by_user, *read.sources),
        place=read.place,
        tried=read.tried,
    )


def from_files(
    source: FactsSource,
    place: str,
    config: object,
    quantization: object = None,
    sizes: Mapping[str, int] | None = None,
) -> KnownModel:
    """Return what a model's files say.

    Args:
        source: whose files they are.
        place: folder or address of the files, for errors and the report.
        config: the parsed ``config.json``.
        quantization: the parsed ``hf_quant_config.json``; None where there is none.
        sizes: bytes of each file by its path beside ``config.json``.

    Raises:
        InvalidRequest: they describe no model; the message names the place and the cure.
    """
    try:
        beside = {} if quantization is None else _object(quantization, "hf_quant_config.json")
        facts = facts_of(_object(config, "config.json"), beside)
    except InvalidRequest as exc:
        raise InvalidRequest(f"{place}: {exc}") from exc
    return KnownModel(facts=with_folder(facts, sizes or {}), sources=(source,), place=place)


def _object(found: object, name: str) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise InvalidRequest(
            f"{name} holds {type(found).__name__}, but must hold an object; give the folder of a "
            "model, or state its sizes in the policy's spec.model"
        )
    return found
