"""What must hold, whatever went wrong: at each moment, and at the end.

``judge`` is a pure function of two endings: that of the disturbed run and that of the undisturbed
one. What must hold at each moment the world has noted while it ran.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dgdr_kube.kinds import DGD, DGDR, GPU_BUDGET, POD, SLA_PLANNER, kind_of
from dgdr_kube.ports import Manifest

from .players.profiler import CANDIDATES
from .world import CROWD, OURS, World, gpus_of, graph_of

# Times and numbers that differ from run to run, and what only repeats others.
_ACCIDENTAL = frozenset(
    {
        *("resourceVersion", "creationTimestamp", "lastTransitionTime", "lastScaleTime"),
        *("generation", "observedGeneration"),
    }
)
_UNCOMPARED = ("Event/", "Lease/", "Pod/")
# An object that speaks says one of these (kstatus).
_VERDICTS = {"Ready", "Reconciling", "Stalled"}
# More writes than an undisturbed life takes: a restart looks at everything once, no more.
STORM = 120
# By when all is at rest again, beside the fault's own time: restarts, back-off up to a minute, and
# a look at what no event has told of, but not the look of who thinks that all is well (600 s).
LATE_S = 420.0


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be, in one line."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass(frozen=True, slots=True)
class Ending:
    """A world after a run, and what happened on the way.

    ``stuck`` is what the story has waited for in vain.
    """

    objects: Mapping[str, Manifest]
    births: Mapping[tuple[str, str], int]
    wrong: tuple[str, ...]
    errors: tuple[str, ...]
    measured: tuple[str, ...]
    writes: int
    rested_s: float
    stuck: str = ""
    plans: bool = False

    @classmethod
    def of(cls, world: World, stuck: str = "") -> "Ending":
        return cls(
            objects=world.server.everything(),
            births=dict(world.record.births),
            wrong=tuple(world.record.wrong),
            errors=tuple(world.record.errors),
            measured=tuple(world.profiler.measured),
            writes=world.line.writes,
            rested_s=world.record.rested_s,
            stuck=stuck,
            plans=world.config.plans,
        )

    def kinds(self, kind: str) -> list[Manifest]:
        return [m for name, m in self.objects.items() if name.startswith(f"{kind}/")]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a fault may change; by default nothing.

    Attributes:
        births: by kind and name, how many more times an object may be made.
        events: whether one may be lost.
        told: reasons of events that may be told once more.
        measured: how many points may be measured again.
        end: whether the end has to be the undisturbed one.
        missing: objects that may not be there at the end.
        runs: how many lives of a request there are.
        late_s: how much later all may come to rest.
        crowd: whether candidates may hold more than they may for a moment.
    """

    births: Mapping[tuple[str, str], int] = field(default_factory=dict)
    events: bool = False
    told: frozenset[str] = frozenset()
    measured: int = 0
    end: bool = True
    missing: frozenset[str] = frozenset()
    runs: int = 1
    late_s: float = 0.0
    crowd: bool = False


def judge(end: Ending, undisturbed: Ending, allowed: Allowance) -> tuple[Violation, ...]:
    """Return what is wrong."""
    found = [*_always(end, allowed)]
    if end.stuck:
        return (*found, Violation("stuck", f"{end.stuck}; {_told(end)}"))
    if allowed.end:
        found += _end(end, undisturbed, allowed)
        found += _events(end, undisturbed, allowed)
    late_s = end.rested_s - undisturbed.rested_s
    if late_s > LATE_S + allowed.late_s:
        found.append(Violation("late", f"at rest {late_s:.0f} s later than undisturbed"))
    found += _twice(end, undisturbed, allowed)
    if end.writes > allowed.runs * undisturbed.writes + STORM:
        found.append(Violation("storm", f"{end.writes} writes, undisturbed {undisturbed.writes}"))
    return tuple(found)


def _always(end: Ending, allowed: Allowance) -> Iterator[Violation]:
    for what in end.wrong:
        if not (allowed.crowd and what.startswith(CROWD)):
            yield Violation("at a moment", what)
    yield from (Violation("unexpected exception", what) for what in end.errors)
    if not end.stuck:
        yield from _leaks(end)
        yield from _silent(end)


# -- the same end


def _end(end: Ending, undisturbed: Ending, allowed: Allowance) -> Iterator[Violation]:
    mine, wanted = plain(end, allowed), plain(undisturbed, allowed)
    for name in sorted(wanted.keys() - mine.keys() - allowed.missing):
        yield Violation("another end", f"{name} is missing")
    for name in sorted(mine.keys() - wanted.keys()):
        yield Violation("another end", f"{name} is left behind")
    for name in sorted(mine.keys() & wanted.keys()):
        if mine[name] != wanted[name]:
            yield Violation("another end", f"{name}: {difference(wanted[name], mine[name])}")
    pods, others = pods_of(end), pods_of(undisturbed)
    if pods != others:
        yield Violation("another end", f"pods {dict(pods)}, undisturbed {dict(others)}")


def plain(end: Ending, allowed: Allowance) -> dict[str, Any]:
    """Return all objects with accidental fields left out, such as uids of what was made again."""
    again = {key for key, times in allowed.births.items() if times}
    uids = {
        manifest["metadata"]["uid"]: name
        for name, manifest in end.objects.items()
        if (manifest["kind"], manifest["metadata"]["name"]) in again
    }
    return {
        name: _named(_plain(_without_figures(manifest)), uids)
        for name, manifest in end.objects.items()
        if not name.startswith(_UNCOMPARED)
    }


def _named(value: Any, uids: Mapping[str, str]) -> Any:
    if not uids:
        return value
    if isinstance(value, dict):
        return {key: _named(child, uids) for key, child in value.items()}
    if isinstance(value, list):
        return [_named(child, uids) for child in value]
    return uids.get(value, value) if isinstance(value, str) else value


def _without_figures(manifest: Manifest) -> Manifest:
    """Return an object without what a planner tells of its way, which differs from run to run."""
    if kind_of(manifest) not in (SLA_PLANNER, GPU_BUDGET):
        return manifest
    return {key: value for key, value in manifest.items() if key != "status"}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k not in _ACCIDENTAL}
    if isinstance(value, list):
        # Keyed lists are sets to everybody but the eye.
        return sorted((_plain(child) for child in value), key=repr)
    return value


def pods_of(end: Ending) -> Counter[str]:
    """Return how many pods each graph has."""
    return Counter(graph_of(pod) for pod in end.kinds("Pod") if graph_of(pod))


def difference(wanted: Any, got: Any, path: str = "") -> str:
    """Return the first place where two values differ."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in sorted({*wanted, *got}):
            if wanted.get(key) != got.get(key):
                return difference(wanted.get(key), got.get(key), f"{path}.{key}")
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        for number, (one, other) in enumerate(zip(wanted, got, strict=True)):
            if one != other:
                return difference(one, other, f"{path}[{number}]")
    return f"{path} is {_short(got)}, undisturbed {_short(wanted)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:157]}..."


# -- nothing twice


def _twice(end: Ending, undisturbed: Ending, allowed: Allowance) -> Iterator[Violation]:
    for (kind, name), times in sorted(end.births.items()):
        if kind in ("Event", "Lease"):
            continue
        usual = max(undisturbed.births.get((kind, name), 0), 1) * allowed.runs
        most = usual + allowed.births.get((kind, name), 0)
        if times > most:
            yield Violation("made twice", f"{kind} {name} was made {times} times, not {most}")
    again = len(end.measured) - allowed.runs * len(undisturbed.measured)
    if again > allowed.measured:
        yield Violation("made twice", f"{again} measurements more than undisturbed")


# -- events


def _events(end: Ending, undisturbed: Ending, allowed: Allowance) -> Iterator[Violation]:
    mine, wanted = told_of(end), told_of(undisturbed)
    for (kind, name, reason), times in wanted.items():
        if mine[kind, name, reason] < times and not allowed.events and reason not in _DEEDS:
            yield Violation("lost event", f"{reason} about {kind} {name}")
    for (kind, name, reason), times in mine.items():
        most = max(wanted[kind, name, reason], 1) + (reason in allowed.told)
        if times > most and reason not in _DEEDS:
            yield Violation("told twice", f"{reason} about {kind} {name}, {times} times")


# They tell of a deed at the moment when it is done, each time: who comes later finds it done.
_DEEDS = frozenset({"Scaled", "AdapterDeleted", "CandidatesDeleted", "DeploymentCreated"})


def told_of(end: Ending) -> Counter[tuple[str, str, str]]:
    """Count Normal events by what they are about and why; the same one again is one."""
    return Counter(
        (about["kind"], about["name"], event["reason"])
        for event in end.kinds("Event")
        # A planner tells of each step, and may take others.
        if event["type"] == "Normal" and (about := event["regarding"])["kind"] != SLA_PLANNER.kind
    )


# -- nothing leaked, nobody silent


def _leaks(end: Ending) -> Iterator[Violation]:
    """GPUs, workloads and candidates without anybody who wants them."""
    uids = {m["metadata"]["uid"] for m in end.objects.values()}
    graphs = {m["metadata"]["name"] for m in end.kinds(DGD.kind)}
    for pod in end.kinds(POD.kind):
        name = pod["metadata"]["name"]
        if gpus_of(pod) and graph_of(pod) not in graphs:
            yield Violation("leaked GPUs", f"{gpus_of(pod)} by pod {name}")
    for name, manifest in end.objects.items():
        owners = manifest["metadata"].get("ownerReferences") or ()
        if owners and not any(owner.get("uid") in uids for owner in owners):
            yield Violation("leaked", f"{name}: its owner is gone")
    running = any(_profiles(m) for m in end.kinds(DGDR.kind))
    for graph in graphs:
        if graph.endswith(CANDIDATES) and not running:
            yield Violation("leaked GPUs", f"candidate {graph} stands, and nothing is profiled")


def _profiles(dgdr: Manifest) -> bool:
    return bool((dgdr.get("status") or {}).get("phase") == "Profiling")


def _silent(end: Ending) -> Iterator[Violation]:
    """Each of our objects says how it is, and, if it is not well, why."""
    for name, manifest in end.objects.items():
        if manifest["kind"] == SLA_PLANNER.kind and not end.plans:
            continue  # there is nobody to speak
        if manifest["kind"] in _SPEAKING and not manifest["metadata"].get("deletionTimestamp"):
            why = _why_silent(manifest)
            if why:
                yield Violation("silent", f"{name} {why}")


_SPEAKING = frozenset(kind.kind for kind in OURS)


def _why_silent(manifest: Manifest) -> str:
    status = manifest.get("status") or {}
    said = {c["type"]: c for c in status.get("conditions") or ()}
    if not said.keys() & _VERDICTS:
        return "has no condition Ready, Reconciling or Stalled"
    if any(not c.get("reason") or not c.get("message") for c in said.values()):
        return "has a condition without reason or message"
    observed = status.get("observedGeneration")
    generation = manifest["metadata"]["generation"]
    if kind_of(manifest) in (DGD, DGDR) and observed != generation:
        return f"is at generation {generation}, its status at {observed}"
    is_well = said.get("Ready", {}).get("status") == "True"
    busy = [t for t in ("Reconciling", "Stalled") if said.get(t, {}).get("status") == "True"]
    if is_well and busy:
        return f"is Ready and {busy[0]} at once"
    if not is_well and not busy and "Ready" not in said:
        return "is neither Ready nor Reconciling nor Stalled"
    return ""


def _told(end: Ending) -> str:
    """Return the last words of the requests, for who has to find out why."""
    words = []
    for dgdr in (m for kind in _SPEAKING for m in end.kinds(kind)):
        status = dgdr.get("status") or {}
        ready = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
        words.append(
            f"{dgdr['kind']} {dgdr['metadata']['name']}: {status.get('phase', '')} "
            f"{ready.get('reason', '')} {_short(ready.get('message', ''))}"
        )
    return "; ".join(words)
