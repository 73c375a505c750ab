"""From what a user typed to a rehearsal: curves and GPUs of files, or of a planner in a cluster."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_cli.found import FoundPlanner
from dgdr_cli.planner.case import CaseError, gpus_seen
from dgdr_cli.planner.questions import curve_data, without_status
from dgdr_cli.planner.rehearsals import Against, Load, Rehearsal, Terms
from dgdr_perf.classic import ClassicProfile
from dgdr_perf.curve_fit import ProfileError
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.simulator.engine import MAX_BATCH, Engine
from dgdr_perf.simulator.options import Options
from dgdr_perf.sizing_prefill import with_transfer
from dgdr_planner.policy import Policy
from dgdr_rehearsal.offline import gpus_measured, read_planner, read_profile_data
from dgdr_rehearsal.replay.rehearsal import World


def rehearsal_of_files(spec: Path, folder: Path, load: Load, terms: Terms) -> Rehearsal:
    """Return what is rehearsed, from files. GPUs that are not given are those of the curves.

    Raises:
        OfflineError: a file cannot be used.
    """
    return _rehearsal(without_status(read_planner(spec)), read_profile_data(folder), load, terms)


def rehearsal_of_found(
    found: FoundPlanner, folder: Path | None, load: Load, terms: Terms
) -> Rehearsal:
    """Return what is rehearsed of a planner in a cluster, with its own curves unless given.

    Raises:
        OfflineError, CaseError: there are no curves.
    """
    data = read_profile_data(folder) if folder else curve_data(found)
    gpus = {**gpus_seen(found.planner.status), **terms.gpus}
    return _rehearsal(found.planner, data, load, replace(terms, gpus=gpus))


def _rehearsal(
    planner: SLAPlanner, data: tuple[PrefillData, DecodeData], load: Load, terms: Terms
) -> Rehearsal:
    policy = replace(Policy.of(planner.spec), shadow=False, suspended=False)
    gpus = {**gpus_measured(*data), **terms.gpus}
    profile = EngineProfile.of(*data)
    _check_budget(policy, gpus)
    return Rehearsal(
        name="/".join(filter(None, (planner.metadata.namespace, planner.metadata.name))),
        load=load,
        world=_world(profile, policy, load, gpus, terms.seed),
        policy=policy,
        against=terms.against,
        classic=_classic(policy, *data) if Against.CLASSIC in terms.against else None,
        start_up_s=planner.status.startup_seconds,
    )


def _world(
    profile: EngineProfile, policy: Policy, load: Load, gpus: Mapping[Role, int], seed: int
) -> World:
    return World(
        requests=load.requests,
        engine=Engine.of(profile, profile.max_num_seqs or MAX_BATCH),
        profile=profile,
        targets=policy.targets,
        gpus={role: gpus.get(role, 1) for role in policy.roles},
        initial=dict.fromkeys(policy.roles, 1),
        options=Options(
            interval_s=policy.interval_s,
            duration_s=load.duration_s,
            dispatch=policy.dispatch,
            transfer_ms_per_token=with_transfer(profile).transfer_ms_per_token,
        ),
        seed=seed,
    )


def _check_budget(policy: Policy, gpus: Mapping[Role, int]) -> None:
    needed = sum(limits.fewest * gpus.get(role, 1) for role, limits in policy.limits.items())
    if policy.budget_gpus is not None and policy.budget_gpus < needed:
        raise CaseError(
            f"spec.budget.gpus is {policy.budget_gpus}, and the fewest replicas hold {needed} GPUs:"
            " raise it, or lower min"
        )


def _classic(policy: Policy, prefill: PrefillData, decode: DecodeData) -> ClassicProfile | None:
    """Return upstream's curves; None where upstream's planner would not start."""
    if set(policy.roles) != {Role.PREFILL, Role.DECODE}:
        return None
    try:
        return ClassicProfile.of(prefill, decode)
    except ProfileError:
        return None
