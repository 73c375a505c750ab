"""The simulator as one object per replica and batch, and a plain agenda: slow, easy to check.

The compiled one of ``dgdr_perf.simulator`` is tested against it.
"""

from support.oracle.run import simulate

__all__ = ["simulate"]
