"""What the name of a candidate says: points carry the name alone, and a report comes at the end."""

import re
from dataclasses import dataclass

from dgdr_api.points import PointKind

_BOTH = (PointKind.PREFILL, PointKind.DECODE)
# By the first word of a shape: what humans call it, and which curves it gives.
_SHAPES = {
    "p": ("", _BOTH),
    "pre": ("prefill ", (PointKind.PREFILL,)),
    "dec": ("decode ", (PointKind.DECODE,)),
    "agg": ("aggregated ", _BOTH),
}
_NAME = re.compile(
    rf"(?:(?P<backend>[a-z]+)-)?(?P<shape>{'|'.join(_SHAPES)})-(?P<kind>[a-z]+)(?P<gpus>\d+)"
    r"(?:-n(?P<nodes>\d+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeName:
    """A candidate's name, as humans read it; one of another form stands for itself."""

    label: str
    kinds: tuple[PointKind, ...] = _BOTH
    is_aggregated: bool = False

    @classmethod
    def of(cls, name: str) -> "ShapeName":
        """Read a name, such as ``sglang-agg-dep16-n2``."""
        found = _NAME.fullmatch(name)
        if found is None:
            return cls(label=name)
        role, kinds = _SHAPES[found["shape"]]
        backend = f"{found['backend']} " if found["backend"] else ""
        nodes = f" on {found['nodes']} nodes" if found["nodes"] else ""
        return cls(
            label=f"{backend}{role}{found['kind'].upper()}={found['gpus']}{nodes}",
            kinds=kinds,
            is_aggregated=found["shape"] == "agg",
        )
