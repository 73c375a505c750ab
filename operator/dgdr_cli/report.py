"""The part of a profiling run's ``report.json`` that is shown."""

from pydantic import Field

from dgdr_api.models.base import LenientModel
from dgdr_cli.shape_name import ShapeName


class Choice(LenientModel):
    """What one role was picked from."""

    candidate: str


class Selection(LenientModel):
    """What was picked; both roles may come from different candidates, or from one engine."""

    prefill: Choice
    decode: Choice


class Tried(LenientModel):
    """One candidate; ``rejected`` says why it was given up."""

    id: str
    rejected: str | None = None


class NotTried(LenientModel):
    """A shape that was left out, and why."""

    label: str
    reason: str


class Report(LenientModel):
    """What a finished run says about itself."""

    sla_reachable: bool = True
    reason: str = ""
    selection: Selection | None = None
    candidates: tuple[Tried, ...] = ()
    infeasible: tuple[NotTried, ...] = Field(default=())

    def roles_of(self, candidate: str) -> tuple[str, ...]:
        """Return the roles that a candidate was picked for."""
        if self.selection is None:
            return ()
        picked = {"prefill": self.selection.prefill, "decode": self.selection.decode}
        return tuple(role for role, choice in picked.items() if choice.candidate == candidate)

    def remarks(self) -> tuple[str, ...]:
        """Return what a user who expected something else must read."""
        missed = () if self.sla_reachable else (f"Targets not reached: {self.reason}",)
        given_up = (
            f"{ShapeName.of(c.id).label} given up: {c.rejected}"
            for c in self.candidates
            if c.rejected
        )
        left_out = (f"{entry.label} not tried: {entry.reason}" for entry in self.infeasible)
        return (*missed, *given_up, *left_out)
