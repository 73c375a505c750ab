"""The status that a graph has, read back."""

from typing import Any

from pydantic import ValidationError

from dgdr_api.models.dgd_v1beta1 import DGDStatus


def status_of(dgd: dict[str, Any]) -> DGDStatus:
    """Read the status; one that somebody else wrote in another shape is replaced."""
    try:
        return DGDStatus.model_validate(dgd.get("status") or {})
    except ValidationError:
        return DGDStatus()
