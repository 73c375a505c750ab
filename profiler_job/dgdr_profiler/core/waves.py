"""What a prompt takes on an engine with several attention ranks, from one burst of prompts.

One prompt alone keeps one rank busy and lets the others idle, which no load ever does. So every
rank gets four prompts at once, one after another or in batches as the engine likes. All ranks are
busy until each has answered its last prompt, so with W prompts on each

    T = (mean of the last first tokens, one per rank - mean of the first sendings) / W

whatever the order. Upstream divides the largest TTFT. That is one rank's bad luck, and too short
when sending takes its time: 183 ms where eight ranks needed 200, and this formula said 201.

A tool that sends slower than the engine answers leaves ranks idle, and T too large; then most
prompts wait for nobody and the median TTFT is T itself. Neither is ever below the truth, so the
smaller one counts.
"""

import statistics
from collections.abc import Sequence

from dgdr_load.steady import RequestTimes
from dgdr_profiler.core.errors import MeasurementFailed


def prompt_ms(requests: Sequence[RequestTimes], ranks: int) -> float:
    """Return the time of one prompt on one of ``ranks`` that are all busy.

    Raises:
        MeasurementFailed: fewer prompts than ranks were answered.
    """
    if len(requests) < 2 * ranks:
        raise MeasurementFailed(
            f"{len(requests)} prompts were answered; {ranks} attention ranks need {2 * ranks}"
        )
    first = statistics.fmean(sorted(r.sent_s for r in requests)[:ranks])
    last = statistics.fmean(sorted(r.first_token_s for r in requests)[-ranks:])
    waves = len(requests) / ranks
    median_s = statistics.median(r.first_token_s - r.sent_s for r in requests)
    return 1000 * min((last - first) / waves, median_s)
