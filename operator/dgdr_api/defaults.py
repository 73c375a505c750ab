"""What a request means where it says nothing, by the version that it was written in.

``effective`` applies those of v1beta1, the version that is stored. A request of v1alpha1 gets its
own where it is converted, so that nobody has to know later which version it came from.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Targets and load of one version, and whether the result is deployed at once."""

    isl: int
    osl: int
    ttft_ms: float
    itl_ms: float
    auto_apply: bool

    @property
    def latencies_ms(self) -> tuple[float, float]:
        """TTFT and ITL."""
        return self.ttft_ms, self.itl_ms

    @property
    def lengths(self) -> tuple[int, int]:
        """Tokens in and out."""
        return self.isl, self.osl


V1ALPHA1 = Defaults(isl=3000, osl=500, ttft_ms=50, itl_ms=10, auto_apply=False)
V1BETA1 = Defaults(isl=4000, osl=1000, ttft_ms=2000, itl_ms=30, auto_apply=True)
