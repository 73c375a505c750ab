"""Quantities of Kubernetes, compared as numbers: the API server stores ``0.5`` as ``500m``."""

import re
from decimal import Decimal

_FORM = re.compile(
    r"(?P<number>[+-]?(\d+\.?\d*|\.\d+))(?P<suffix>[EPTGMK]i|[numkMGTPE]?|[eE][+-]?\d+)"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def amount(value: object) -> Decimal | None:
    """Return a quantity's amount; None for what is none."""
    if isinstance(value, bool):
        return None
    form = _FORM.fullmatch(str(value))
    if form is None:
        return None
    number, suffix = Decimal(form["number"]), form["suffix"]
    if suffix in _BINARY:
        return number * Decimal(1024) ** _BINARY[suffix]
    return number.scaleb(_DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:]))
