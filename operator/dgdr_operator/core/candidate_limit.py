"""How many GPUs the candidates of a run may hold together, whoever makes them.

The profiling Job keeps this limit too; but it is a program in a user's namespace, and its limit is
a promise. Here it is a rule: a candidate beyond it gets no pods.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from dgdr_api.gpus import Count, Uncountable
from dgdr_api.request import ProfilingRequest


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Candidate:
    """A deployment of a run; they queue up in this order.

    One whose GPUs nobody can count gets no pods, so that it holds none.
    """

    created: str
    name: str
    gpus: Count = field(compare=False)


def gpus_at_once(told: ProfilingRequest) -> int | None:
    """Return the limit of a run; None when it has none."""
    limits = (told.policy.gpus_at_once, told.hardware.total_gpus)
    return min((limit for limit in limits if limit is not None), default=None)


def is_left(pod_graph: str, is_ending: bool, mine: str, graphs: Container[str]) -> bool:
    """Whether a pod of the run holds GPUs that no candidate stands for.

    Seen from candidate ``mine``, which has made none yet: one under its name is of an earlier
    candidate. ``graphs`` are the candidates that are there.
    """
    return is_ending or pod_graph == mine or pod_graph not in graphs


def held_back(name: str, candidates: Iterable[Candidate], most: int, ending: int = 0) -> str | None:
    """Say why a candidate has to wait; None when it need not.

    One that waits holds up all that are younger: were a small one let past it, both could stand
    once there is room for the large one, and hold more than the limit. ``ending`` are GPUs of pods
    that were candidates' and are not gone yet.
    """
    queue = sorted(candidates)
    mine = next((i for i, c in enumerate(queue) if c.name == name), None)
    if mine is None:
        return None
    before = sum(c.gpus for c in queue[:mine] if not isinstance(c.gpus, Uncountable))
    own = queue[mine].gpus
    if isinstance(own, Uncountable):
        return f"not started: {most} GPUs are allowed at once, and {own.why}"
    if before + ending + own <= most:
        return None
    others = ", ".join(c.name for c in queue[:mine]) or "no other candidate"
    left = f"pods of the run that are ending hold {ending}, " if ending else ""
    return (
        f"not started: it needs {own} GPUs, {others} of the same run hold {before}, "
        f"{left}"
        f"and the ProfilingPolicy's gpusAtOnce, or hardware.totalGpus, allows {most} at once"
    )
