"""Values that are possible and that nobody means: most often another unit.

A request with them is served as it stands. They are asked back, because a target of 0.5 ms is
missed by every engine, hours later, while 500 ms was meant.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from dgdr_api.models.dgdr_v1beta1 import DGDRSpec, Hardware, Sla, Workload


@dataclass(frozen=True, slots=True)
class _Plausible:
    """Bounds of what engines do, and the factor by which a unit is mistaken, if it is one."""

    least: float
    most: float
    unit: str
    factor: float = 1.0

    def doubt(self, field: str, value: float | None) -> str | None:
        """Return the question about a value; None when it is plausible."""
        if value is None or self.least <= value <= self.most:
            return None
        meant = value * self.factor if value < self.least else value / self.factor
        said = f"{field} is {value:.15g} {self.unit}"
        if self.least <= meant <= self.most:
            return f"{said}; did you mean {meant:.15g}?"
        side = f"below {self.least:g}" if value < self.least else f"above {self.most:.15g}"
        return f"{said}, which is {side}; is that meant?"


# The smallest models answer a short prompt in a few ms; nobody waits ten minutes for a first token.
_TTFT = _Plausible(2.0, 600_000.0, "ms", 1000.0)
# A step of one layer takes more than 0.1 ms; in ten seconds nobody reads one word.
_ITL = _Plausible(0.1, 10_000.0, "ms", 1000.0)
_E2E = _Plausible(10.0, 3_600_000.0, "ms", 1000.0)
# Longer than the context of any model.
_TOKENS = _Plausible(1.0, 10_000_000.0, "tokens")
# GPUs had 1 GiB long before they served models; 80 is a number of GB.
_VRAM = _Plausible(1024.0, 4_194_304.0, "MiB", 1024.0)


def doubts(spec: DGDRSpec) -> tuple[str, ...]:
    """Return a question for each value that is hardly meant."""
    return tuple(question for question in _questions(spec) if question is not None)


def _questions(spec: DGDRSpec) -> Iterator[str | None]:
    sla, load, hardware = spec.sla or Sla(), spec.workload or Workload(), spec.hardware
    yield _TTFT.doubt("spec.sla.ttft", sla.ttft)
    yield _ITL.doubt("spec.sla.itl", sla.itl)
    yield _E2E.doubt("spec.sla.e2eLatency", sla.e2e_latency)
    yield _TOKENS.doubt("spec.workload.isl", load.isl)
    yield _TOKENS.doubt("spec.workload.osl", load.osl)
    yield _VRAM.doubt("spec.hardware.vramMb", (hardware or Hardware()).vram_mb)
