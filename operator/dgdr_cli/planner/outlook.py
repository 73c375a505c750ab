"""What a planner will do next, and why it has no more and no fewer replicas now.

Pure, from a status and the spec. A planner that changes nothing now gives one answer for all: that
of its condition Ready, and no other sentence beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from dgdr_api.conditions import READY, find
from dgdr_api.models.base import ConditionStatus
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.models.sla_planner_policy import SizingPolicy
from dgdr_api.models.sla_planner_status import Capacity, Knowledge, RoleStatus
from dgdr_planner.observe.endpoint import delay_s
from dgdr_planner.observe.looks import LOOK_S, looks_help
from dgdr_planner.size.need import DOWN, FEWEST_WINDOWS, LONGEST_S, MOST_NOISE, OUTAGE
from dgdr_planner.tell.status import REFRESH_S

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """One role: why it has no more replicas, and why no fewer."""

    role: str
    no_more: str
    no_fewer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What is to come; ``at`` is None where nobody knows when."""

    at: datetime | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """``held`` is why nothing changes at all; ``silent`` says that nobody decides any more."""

    held: str | None
    silent: str | None
    roles: tuple[Why, ...]
    coming: tuple[Event, ...]


def outlook(planner: SLAPlanner, now: datetime) -> Outlook:
    """Return what is to be expected of a planner from ``now`` on."""
    held, silent = _held(planner), _silent(planner, now)
    if silent is not None:  # nobody decides: what would come next comes no more
        return Outlook(held=held, silent=silent, roles=(), coming=())
    roles = () if held else tuple(_why(planner, role, now) for role in planner.status.roles)
    coming = sorted(_coming(planner, held, now), key=lambda one: (one.at is None, one.at or now))
    return Outlook(held=held, silent=None, roles=roles, coming=tuple(coming))


def _held(planner: SLAPlanner) -> str | None:
    if planner.spec.is_suspended:
        return "spec.suspend is true: replicas stay as they are"
    ready = find(planner.status.conditions, READY)
    if ready is None:
        return "nothing was decided yet"
    return ready.message if ready.status is ConditionStatus.FALSE else None


def _silent(planner: SLAPlanner, now: datetime) -> str | None:
    """Say that the status is older than any planner that runs would leave it."""
    seen = planner.status.observed
    if seen is None or seen.time is None:
        return None
    age_s = (now - seen.time).total_seconds()
    if age_s <= REFRESH_S + 2 * planner.spec.interval_s:
        return None
    return (
        f"the status is {spell(age_s)} old, and a planner that runs writes it every"
        f" {REFRESH_S / 60:.0f} min: kubectl get pods,lease -n dgdr-system"
    )


def _why(planner: SLAPlanner, role: RoleStatus, now: datetime) -> Why:
    told = next((one for one in planner.status.capacity if one.role == role.role), None)
    if role.yields_until is not None and role.yields_until > now:
        text = f"set by hand, left alone until {_clock(role.yields_until)}"
        return Why(role=role.role, no_more=text, no_fewer=text)
    if role.replicas is None or role.desired_replicas is None:
        text = f"{UNKNOWN}: nothing was decided yet"
        return Why(role=role.role, no_more=text, no_fewer=text)
    return Why(
        role=role.role,
        no_more=_no_more(planner, role, told, role.replicas, role.desired_replicas),
        no_fewer=_no_fewer(planner, role, told, role.replicas, role.desired_replicas, now),
    )


def _no_more(
    planner: SLAPlanner, role: RoleStatus, told: Capacity | None, there: int, needed: int
) -> str:
    if needed > there:
        limited = find(planner.status.conditions, "ScalingLimited")
        if limited is not None and limited.is_true:
            for text in limited.message.split("; "):
                if text.startswith(f"{role.role} "):
                    return text
        verb = "Active would ask" if planner.spec.is_shadow else "the next decision asks"
        return f"{needed} are needed, {there} are there: {verb} for them"
    exact = told.needed if told else None
    if exact is None:
        return f"{needed} are enough"
    if exact > there:
        reachable = find(planner.status.conditions, "SLAReachable")
        if reachable is not None and reachable.status is ConditionStatus.FALSE:
            return f"{exact:.2f} are needed, but no number meets the targets: see SLAReachable"
        return f"{exact:.2f} are needed: no more than {there} and the noise of counting"
    return f"{exact:.2f} are needed"


def _no_fewer(
    planner: SLAPlanner,
    role: RoleStatus,
    told: Capacity | None,
    there: int,
    needed: int,
    now: datetime,
) -> str:
    bounds = getattr(planner.spec.roles, role.role, None)
    floor = bounds.floor if bounds else 1
    if there <= floor:
        return f"roles.{role.role}.min is {floor}"
    if needed > there:
        return "more are needed"
    if needed < there:
        return _stabilizing(planner, role, max(needed, floor), now)
    if _is_idle(planner):
        patience_s = min(OUTAGE * planner.spec.stabilization_s, LONGEST_S)
        return f"idle for less than {patience_s:.0f} s, which may be an outage in front of it"
    if told is None or told.needed is None:
        return f"{there} are needed"
    if told.needed <= (there - 1) * (1.0 - DOWN * MOST_NOISE):
        text = f"{told.needed:.2f} are needed; none go before {FEWEST_WINDOWS} windows were seen"
        return f"{text}, while requests are late, or while answers are in flight"
    late = told.correction is not None and told.correction > 1.0
    why = f", {told.correction:.2f} x the curves as requests were late" if late else ""
    return f"{there - 1} would not carry {told.needed:.2f} with room to spare{why}"


def _stabilizing(planner: SLAPlanner, role: RoleStatus, wanted: int, now: datetime) -> str:
    if role.below_since is None:
        return f"{wanted} are enough since the last decision"
    window_s = planner.spec.stabilization_s
    text = f"{wanted} are enough since {_clock(role.below_since)}"
    end = role.below_since + timedelta(seconds=window_s)
    if end > now:
        return f"{text}; they go when that has lasted {window_s} s"
    return f"{text}; the highest need of the last {window_s} s counts"


def _is_idle(planner: SLAPlanner) -> bool:
    seen = planner.status.observed
    return seen is not None and seen.knowledge is Knowledge.IDLE


def _coming(planner: SLAPlanner, held: str | None, now: datetime) -> Iterator[Event]:
    if not planner.spec.is_suspended:
        yield _tick(planner, held, now)
    for role in planner.status.roles:
        yield from _in_motion(planner, role)
        if held is None:
            yield from _changes(planner, role, now)


def _tick(planner: SLAPlanner, held: str | None, now: datetime) -> Event:
    interval_s = planner.spec.interval_s
    what = "it looks again" if held else "next decision"
    text = f"{what}, then every {interval_s:g} s"
    is_classic = planner.spec.sizing_policy is SizingPolicy.CLASSIC
    if held is None and not is_classic and looks_help(interval_s, LOOK_S):
        text += "; a rise is answered in between"
    return Event(at=_tick_after(planner, now), text=text)


def _tick_after(planner: SLAPlanner, moment: datetime) -> datetime:
    source = planner.spec.prometheus_url or ""
    return moment + timedelta(seconds=delay_s(moment.timestamp(), planner.spec.interval_s, source))


def _in_motion(planner: SLAPlanner, role: RoleStatus) -> Iterator[Event]:
    wanted, ready = role.replicas or 0, role.ready_replicas
    if ready is not None and wanted > ready:
        yield _starting(planner, role, wanted, ready)
    if role.terminating_replicas:
        text = f"{role.role}: {role.terminating_replicas} stopping, GPUs are held until then"
        yield Event(at=None, text=text)


def _starting(planner: SLAPlanner, role: RoleStatus, wanted: int, ready: int) -> Event:
    text = f"{role.role}: {wanted - ready} starting, then {wanted} are ready"
    asked, start_up_s = _asked_at(planner, role.role), planner.status.startup_seconds
    if asked is None or start_up_s is None:
        return Event(at=None, text=f"{text}; nobody knows since when")
    text = f"{text} (asked for at {_clock(asked)}, a start takes {start_up_s} s)"
    return Event(at=asked + timedelta(seconds=start_up_s), text=text)


def _asked_at(planner: SLAPlanner, role: str) -> datetime | None:
    """Return when the last decision gave a role more replicas."""
    for record in planner.status.decisions:
        change = getattr(record, role, None)
        if change is not None and change.to > change.from_:
            return record.time
    return None


def _changes(planner: SLAPlanner, role: RoleStatus, now: datetime) -> Iterator[Event]:
    """Say when patience with a number ends: of one that is too high, and of a person's."""
    if role.yields_until is not None:
        if role.yields_until > now:
            text = f"{role.role} follows the load again"
            yield Event(at=_tick_after(planner, role.yields_until), text=text)
        return
    there, needed = role.replicas, role.desired_replicas
    if there is None or needed is None or role.below_since is None:
        return
    bounds = getattr(planner.spec.roles, role.role, None)
    wanted = max(needed, bounds.floor if bounds else 1)
    if planner.spec.max_step_down is not None:
        wanted = max(wanted, there - planner.spec.max_step_down)
    if wanted >= there:
        return
    end = role.below_since + timedelta(seconds=planner.spec.stabilization_s)
    at = _tick_after(planner, max(end, now))
    verb = "Active would go" if planner.spec.is_shadow else "goes"
    yield Event(at=at, text=f"{role.role} {verb} from {there} to {wanted}, if no more is needed")


def in_text(event: Event, now: datetime) -> str:
    """Say when something comes, by the clock and from now."""
    if event.at is None:
        return UNKNOWN
    left_s = (event.at - now).total_seconds()
    if left_s < 0:
        return f"{_clock(event.at)}, {spell(-left_s)} overdue"
    return f"{_clock(event.at)}, in {spell(left_s)}"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}"


def spell(seconds: float) -> str:
    """Say a length of time in one unit."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
