"""How many replicas a load needs so that its latency targets hold: one door to all of it.

Each answer says what bound it, whether it was read where somebody measured, and whether the
target can be reached at all: more replicas cannot make a lone request faster. The number never
falls when the load, the lengths or the strictness of a target rise, and it has no cliffs:
``Sizing.replicas_exact`` is continuous in every input.
"""

from dgdr_perf.queueing import Dispatch
from dgdr_perf.sizing_aggregated import size_aggregated
from dgdr_perf.sizing_decode import size_decode
from dgdr_perf.sizing_prefill import size_prefill
from dgdr_perf.sizing_result import MOST_REPLICAS, Binding, Sizing
from dgdr_perf.workload import Percentile, PrefillTerms, Targets, Workload, WorkloadError

__all__ = [
    "MOST_REPLICAS",
    "Binding",
    "Dispatch",
    "Percentile",
    "PrefillTerms",
    "Sizing",
    "Targets",
    "Workload",
    "WorkloadError",
    "size_aggregated",
    "size_decode",
    "size_prefill",
]
