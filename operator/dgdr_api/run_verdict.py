"""Whether a finished run holds its targets: the part of ``report.json`` that a status repeats."""

from pydantic import ValidationError

from dgdr_api.models.base import LenientModel


class Figures(LenientModel):
    """What was measured of the pick, for one role."""

    ttft_ms: float | None = None
    itl_ms: float | None = None


class Chosen(LenientModel):
    """What was measured of the pick, by role; of one engine for both, too."""

    prefill: Figures = Figures()
    decode: Figures = Figures()


class RunVerdict(LenientModel):
    """What a run found out about its targets; whoever wrote it may have written more.

    ``shortage`` says what the load would need where the GPUs do not suffice for it.
    """

    sla_reachable: bool
    reason: str = ""
    selection: Chosen = Chosen()
    shortage: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether the targets hold, and hold under the load that was asked for."""
        return self.sla_reachable and not self.shortage

    def __str__(self) -> str:
        targets = f"targets {'hold' if self.sla_reachable else 'not reached'}: {self._nearest()}"
        return f"{targets}; {self.shortage}" if self.shortage else targets

    def _nearest(self) -> str:
        ttft_ms, itl_ms = self.selection.prefill.ttft_ms, self.selection.decode.itl_ms
        if ttft_ms is None or itl_ms is None:
            return self.reason or "no figures"
        nearest = "" if self.sla_reachable else "nearest "
        return f"{nearest}TTFT {_short(ttft_ms)} ms, ITL {_short(itl_ms)} ms"


def read_verdict(report: str) -> RunVerdict | None:
    """Read ``report.json``; None where there is none, or it says nothing about targets."""
    try:
        return RunVerdict.model_validate_json(report)
    except ValidationError:
        return None


def _short(value_ms: float) -> str:
    return f"{value_ms:.0f}" if value_ms >= 10 else f"{value_ms:.1f}"
