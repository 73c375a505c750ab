"""How lengths spread where nothing tells it: an assumption, from what is public of LLM traffic.

Both are lognormal, cut at the last promille. The squared variation of prompts is that of Azure's
code (0.9) and of Mooncake's synthetic trace (1.5), taken as 1; that of answers lies between the
latter (1.4) and the former (4.6), above the exponential's (1) that "ServeGen" (Xiang et al., 2025,
arXiv:2505.09999) finds for single clients: taken as 2. One application may spread by far less;
to take lengths as equal, the only other thing that means alone allow, is wrong for all of them.
"""

import math
from dataclasses import replace
from statistics import NormalDist

from dgdr_perf.workload import Quantiles, Workload

PROMPTS_CV2, ANSWERS_CV2 = 1.0, 2.0
SHARES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)


def with_assumed_lengths(load: Workload) -> Workload:
    """Return the load with a distribution where it has none; its means stay."""
    if load.isl_quantiles and load.osl_quantiles:
        return load
    return replace(
        load,
        isl_quantiles=load.isl_quantiles or ASSUMED_PROMPTS,
        osl_quantiles=load.osl_quantiles or ASSUMED_ANSWERS,
    )


def _lognormal(cv2: float) -> Quantiles:
    sigma = math.sqrt(math.log1p(cv2))
    return tuple((share, math.exp(sigma * NormalDist().inv_cdf(share))) for share in SHARES)


# Only the shape counts; a workload scales it to its mean.
ASSUMED_PROMPTS = _lognormal(PROMPTS_CV2)
ASSUMED_ANSWERS = _lognormal(ANSWERS_CV2)
