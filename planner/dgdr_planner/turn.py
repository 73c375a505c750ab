"""One pass over one SLAPlanner: what it goes by, and what came of it."""

from dataclasses import dataclass, replace
from datetime import datetime

from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_kube.ports import Key, Manifest
from dgdr_planner.limit.edits import Known
from dgdr_planner.observe import endpoint
from dgdr_planner.observe.observation import Observation
from dgdr_planner.observe.value import Trouble
from dgdr_planner.plan import Decision
from dgdr_planner.policy import Policy
from dgdr_planner.state import State
from dgdr_planner.tell.status import Done


@dataclass(frozen=True, slots=True)
class Read:
    """An SLAPlanner and its manifest, of one version."""

    manifest: Manifest
    planner: SLAPlanner
    policy: Policy

    @classmethod
    def of(cls, manifest: Manifest) -> "Read":
        """Read a manifest; raises pydantic's ValidationError."""
        planner = SLAPlanner.parse(manifest)
        return cls(manifest, planner, Policy.of(planner.spec))

    @property
    def about(self) -> tuple[str, str]:
        """The planner's uid and its target: of another one nothing may be remembered."""
        return self.planner.metadata.uid, self.planner.spec.target_ref.name

    def is_of(self, manifest: Manifest) -> bool:
        """Whether a manifest is the same version of the same object."""
        mine, other = self.manifest["metadata"], manifest["metadata"]
        return all(mine.get(name) == other.get(name) for name in ("uid", "resourceVersion"))


@dataclass(frozen=True, slots=True)
class Turn:
    """One pass: which planner, what it saw, and when."""

    key: Key
    read: Read
    seen: Observation
    now: datetime

    @property
    def planner(self) -> SLAPlanner:
        """The planner as the pass found it."""
        return self.read.planner

    @property
    def policy(self) -> Policy:
        """What its spec asks for."""
        return self.read.policy

    @property
    def about(self) -> tuple[str, str]:
        """See ``Read.about``."""
        return self.read.about


def written(decision: Decision, done: Done) -> State:
    """Return the state with the numbers that this pass wrote: they are nobody else's."""
    plan, state = decision.outcome, decision.state
    if isinstance(plan, Trouble) or state.costs is not None:
        return state
    asked = {
        one.seen.role: Known(one.replicas, one.seen.adapter_version is not None)
        for one in plan.roles
        if one.seen.role in done.roles
    }
    return replace(state, known={**state.known, **asked})


def outcome(decision: Decision, done: Done) -> str:
    """Name what came of a pass."""
    if done.trouble is not None or done.outdated:
        return "failed"
    if isinstance(decision.outcome, Trouble):
        return "held"
    return "changed" if done.roles else "kept"


def tick_in_s(planner: SLAPlanner, policy: Policy, now: datetime) -> float:
    """Return the seconds until the next tick of a planner."""
    source = planner.spec.metrics.prometheus if planner.spec.metrics else None
    return endpoint.delay_s(now.timestamp(), policy.interval_s, source.url if source else "")
