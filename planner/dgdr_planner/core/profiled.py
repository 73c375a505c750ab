"""Whether the engines that run are those that the profile describes."""

from collections.abc import Iterator

from dgdr_api.fingerprint import Fingerprint
from dgdr_api.graph import Role
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.core.observation import RoleSeen, TargetSeen


def unlike(profile: EngineProfile, target: TargetSeen) -> tuple[str, ...]:
    """Say for each role in what its engine differs from the one of the profile.

    Where either side does not know its engine nothing is said: unknown is not unlike.
    """
    return tuple(_told(profile, target))


def _told(profile: EngineProfile, target: TargetSeen) -> Iterator[str]:
    for seen in target.roles:
        described = _described(profile, seen)
        if described is None or seen.engine is None:
            continue
        found = described.differences(seen.engine)
        if found:
            yield f"{seen.role}: {'; '.join(found)}"


def _described(profile: EngineProfile, seen: RoleSeen) -> Fingerprint | None:
    """Return the engine of the role's curve; an aggregated engine has one for both."""
    curve = profile.prefill if seen.role is Role.PREFILL else profile.decode
    return curve.provenance.fingerprint
