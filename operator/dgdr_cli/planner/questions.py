"""From what a user typed to a case: reads files and the cluster, and says what is missing.

Everything that a user can cure becomes a ``CliError`` here, in one line.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.names import DECODE_JSON_KEY, PREFILL_JSON_KEY, dgd_name
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_api.provenance import ProfileDataError
from dgdr_cli.errors import CliError, NotThere
from dgdr_cli.found import FoundPlanner, Source
from dgdr_cli.planner.case import (
    Case,
    CaseError,
    Overrides,
    case_of,
    case_without_planner,
    changed,
)
from dgdr_cli.planner.shares import seen_by
from dgdr_perf.classic import ClassicError
from dgdr_perf.curve_fit import ProfileError
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.simulator.arrivals import RequestsError
from dgdr_perf.sizing import WorkloadError
from dgdr_planner.observe.budget import BudgetSeen
from dgdr_rehearsal.offline import (
    OfflineError,
    gpus_measured,
    read_planner,
    read_profile,
    read_profile_data,
)
from dgdr_rehearsal.replay.traces import TraceError

PLANNER_KINDS = ("", "slap", "slaplanner", "slaplanners", "slaplanners.dgdr.dev")
CURABLE = (
    OfflineError,
    CaseError,
    WorkloadError,
    ProfileDataError,
    ProfileError,
    ClassicError,
    TraceError,
    RequestsError,
)


@contextmanager
def curable() -> Iterator[None]:
    """Turn what a user can cure into one line."""
    try:
        yield
    except CURABLE as exc:
        raise CliError(str(exc)) from exc


def found_planner(source: Source, name: str, namespace: str | None) -> FoundPlanner:
    """Read a planner, named as kubectl names it: NAME or slap/NAME.

    Raises:
        NotThere: the namespace has none of that name.
        CliError: another kind is named.
    """
    kind, _, name = name.rpartition("/")
    if kind not in PLANNER_KINDS:
        raise CliError(f"{kind}/{name} is no SLAPlanner: give its name, as slap/{name}")
    found = source.find_planner(name, namespace)
    if found is None:
        where = f"namespace {namespace}" if namespace else "the context's namespace"
        raise NotThere(
            f"no SLAPlanner {name} in {where}; that of a request {name} is {dgd_name(name)}, and "
            "`kubectl get slap -A` lists all"
        )
    return found


def case_of_found(found: FoundPlanner, folder: Path | None, given: Overrides) -> Case:
    """Return the case of a planner in a cluster.

    Raises:
        CliError: there are no curves, or no load.
    """
    with curable():
        profile = read_profile(folder) if folder else _curves(found)
        return case_of(found.planner, profile, given, _shared(found))


def case_of_files(
    spec: Path | None, folder: Path | None, roles: tuple[Role, ...], given: Overrides
) -> Case:
    """Return the case of files and options alone.

    Raises:
        CliError: a file cannot be used, or something is missing.
    """
    with curable():
        if folder is None:
            raise CaseError("no curves: give --profile, a folder, or the NAME of a planner")
        profile, measured = read_profile(folder), gpus_measured(*read_profile_data(folder))
        given = replace(given, gpus_each={**measured, **given.gpus_each})
        if spec is None:
            return case_without_planner(profile, roles, given)
        return case_of(without_status(read_planner(spec)), profile, given)


def without_status(planner: SLAPlanner) -> SLAPlanner:
    """Return a manifest without its status, which, if it has one, is not of now."""
    return SLAPlanner(metadata=planner.metadata, spec=planner.spec)


def _curves(found: FoundPlanner) -> EngineProfile:
    return EngineProfile.of(*curve_data(found))


def curve_data(found: FoundPlanner) -> tuple[PrefillData, DecodeData]:
    """Return the curves that a planner of a cluster names.

    Raises:
        CaseError: they are not there.
    """
    name = found.planner.spec.profile.config_map_ref.name
    if found.curves is None:
        told = f"there is no ConfigMap {name} with curves that you may read"
        raise CaseError(f"{told}; give --profile, a folder")
    missing = [key for key in (PREFILL_JSON_KEY, DECODE_JSON_KEY) if key not in found.curves]
    if missing:
        raise CaseError(f"ConfigMap {name} has no {' and no '.join(missing)}; give --profile")
    return (
        PrefillData.from_json(found.curves[PREFILL_JSON_KEY]),
        DecodeData.from_json(found.curves[DECODE_JSON_KEY]),
    )


def _shared(found: FoundPlanner) -> BudgetSeen | None:
    """Return the budget that a planner takes from; None where it has none, or is no member."""
    if found.budget is None:
        return None
    seen = seen_by(found.budget, found.planner.metadata.name)
    return seen if isinstance(seen, BudgetSeen) else None


def now_and_then(found: FoundPlanner, folder: Path | None, given: Overrides) -> tuple[Case, Case]:
    """Return what a planner is asked now, and with what the user gives instead.

    Raises:
        CliError: there are no curves, or no load.
    """
    with curable():
        profile = _curves(found)
        try:
            now = case_of(found.planner, profile, Overrides(), _shared(found))
        except CaseError:
            load = Overrides(rate_per_s=given.rate_per_s, isl=given.isl, osl=given.osl)
            now = case_of(found.planner, profile, load, _shared(found))
        then = changed(now, given)
        return now, then if folder is None else replace(then, profile=read_profile(folder))
