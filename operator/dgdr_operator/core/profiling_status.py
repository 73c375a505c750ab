"""What the status says while a request is profiled."""

from dgdr_api import names
from dgdr_api.conditions import find
from dgdr_api.models.dgdr_v1beta1 import DiscoveredHardware, Phase, ProfilingPhase
from dgdr_operator.core.draft import Draft, waiting_since
from dgdr_operator.core.hardware import HardwareFound
from dgdr_operator.core.observation import Idle, IdleReason, JobState, Observation, Output
from dgdr_operator.core.steps import Aspect


def started(draft: Draft, seen: Observation, hardware: HardwareFound) -> Draft:
    """Return the status once the Job is made."""
    found = DiscoveredHardware(
        gpu_sku=hardware.gpu_sku,
        vram_mb=hardware.vram_mib,
        num_gpus_per_node=hardware.gpus_per_node,
        total_gpus=hardware.total_gpus,
        source=hardware.source,
    )
    draft = draft.with_(
        phase=Phase.PROFILING,
        profiling_job_name=names.job_name(seen.request.name),
        hardware=found,
    )
    return progress(draft, seen)


def progress(draft: Draft, seen: Observation) -> Draft:
    """Return the status while the Job runs: how far it is, or why it does nothing."""
    phase = _profiling_phase(seen.output) or draft.status.profiling_phase
    phase = phase or ProfilingPhase.INITIALIZING
    reason = "Completed" if phase is ProfilingPhase.DONE else phase.value
    draft = _about_profiler(draft.with_(profiling_phase=phase), _idle(seen))
    return draft.saying(Aspect.PROFILING, False, reason, _how_far(seen, draft))


def completed(draft: Draft) -> Draft:
    """Return the status once there is a result."""
    text = "profiling is complete"
    draft = draft.with_(profiling_phase=None)
    return draft.saying(Aspect.PROFILING, True, "Completed", text)


def over(draft: Draft) -> Draft:
    """Return the status without what matters to a run only."""
    return draft.without(Aspect.PROFILER_RUNNING)


def _how_far(seen: Observation, draft: Draft) -> str:
    done = seen.output.message if seen.output else ""
    known = find(draft.status.conditions, Aspect.PROFILER_RUNNING)
    if seen.job.idle is None or known is None:
        return done or "Profiling is in progress"
    text = f"{seen.job.idle.message}; {waiting_since(known.last_transition_time)}"
    return f"{text}; before that: {done}" if done else text


def _idle(seen: Observation) -> Idle | None:
    if seen.job.state is JobState.RUNNING:
        return seen.job.idle
    return Idle(reason=IdleReason.NO_POD, message="the Job has just been made")


def _about_profiler(draft: Draft, idle: Idle | None) -> Draft:
    """Say since when the profiler is, or is not, at work: the sweep of candidates counts from it.

    The condition keeps its time while only the reason changes, so a pod that is made again and
    again, and never runs, does not put the sweep off.
    """
    if idle is None:
        return draft.saying(Aspect.PROFILER_RUNNING, True, "PodRunning", "the profiler is at work")
    return draft.saying(Aspect.PROFILER_RUNNING, False, idle.reason, idle.message)


def _profiling_phase(output: Output | None) -> ProfilingPhase | None:
    known = {phase.value: phase for phase in ProfilingPhase}
    return known.get(output.phase) if output else None
