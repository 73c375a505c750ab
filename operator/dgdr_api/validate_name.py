"""Whether the names of what a request generates leave room for those of its components."""

import re
from collections.abc import Iterator

from dgdr_api.effective import EffectiveSpec, effective
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_api.names import MAX_DGD_AND_COMPONENT_CHARS, MAX_WORKLOAD_NAME_CHARS, dgd_name
from dgdr_api.problem import Problem
from dgdr_api.reading import object_of
from dgdr_api.validate_override import name_in_override

_DNS_NAME = re.compile(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
# Names of the components in every generated deployment.
_COMPONENTS = ("frontend", "prefill", "decode", "worker")
_LONGEST = max(_COMPONENTS, key=len)
_GROVE = "nvidia.com/enable-grove"


def name_problems(wanted: EffectiveSpec, name: str) -> Iterator[Problem]:
    """Check the name of the generated deployment, where an override gives it."""
    if not name:
        return
    most = MAX_WORKLOAD_NAME_CHARS - len(f"-{_LONGEST}")
    yield from _too_long(wanted, name, most, f"{MAX_WORKLOAD_NAME_CHARS} characters")
    override = name_in_override(wanted.dgd_override)
    if override and not _DNS_NAME.match(override):
        yield Problem(
            "spec.overrides.dgd.metadata.name",
            override,
            "use lower-case letters, digits and dashes",
        )
    yield from _first_letters(name, override)


def names_with_grove(spec: DGDRSpec, name: str) -> Iterator[Problem]:
    """Check the name of the generated deployment by what NVIDIA's operator makes with Grove."""
    wanted = effective(spec)
    metadata = object_of((wanted.dgd_override or {}).get("metadata"))
    if str(object_of(metadata.get("annotations")).get(_GROVE)).lower() == "false":
        return
    most = MAX_DGD_AND_COMPONENT_CHARS - len(_LONGEST)
    share = f"{MAX_DGD_AND_COMPONENT_CHARS} characters where NVIDIA's operator uses Grove"
    off = f'{_GROVE}: "false" in spec.overrides.dgd.metadata.annotations'
    yield from _too_long(wanted, name, most, share, f", or do without Grove: {off}")


def _too_long(
    wanted: EffectiveSpec, name: str, most: int, share: str, else_: str = ""
) -> Iterator[Problem]:
    """Say that a generated deployment's name leaves a component none."""
    override = name_in_override(wanted.dgd_override)
    field = "spec.overrides.dgd.metadata.name" if override else "metadata.name"
    given, generated = override or name, dgd_name(name, override)
    if len(generated) > most:
        yield Problem(
            field,
            given,
            f"the deployment {generated} and its component {_LONGEST} share {share}; use at most "
            f"{most - (len(generated) - len(given))}{else_}",
        )


def _first_letters(name: str, override: str | None) -> Iterator[Problem]:
    """Check how names begin: those of candidates begin like the request's own."""
    names = {"metadata.name": name, "spec.overrides.dgd.metadata.name": override}
    for field, given in names.items():
        if given and not given[0].isalpha():
            yield Problem(field, given, "begin with a letter: Services of that name must")
