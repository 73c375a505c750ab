"""Reads everything that a pass over one DGDR looks at, and nothing else."""

from dataclasses import dataclass, replace

from pydantic import ValidationError

from dgdr_api import names, problem, validate
from dgdr_api import validate_references as references
from dgdr_api.conditions import find
from dgdr_api.effective import effective
from dgdr_api.field_notes import field_notes
from dgdr_api.gpus import NO_CLAIMS, Claims
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec, Phase
from dgdr_api.models.profiling_policy import ProfilingPolicy, ProfilingPolicySpec
from dgdr_api.names import Annotation
from dgdr_api.planner_notes import planner_notes
from dgdr_api.problem import Problem
from dgdr_api.validate_name import names_with_grove
from dgdr_kube.kinds import (
    CONFIG_MAP,
    DGD,
    DGDSA,
    JOB,
    POD,
    PROFILING_POLICY,
    PVC,
    SLA_PLANNER,
    WORKER_METADATA,
    Kind,
)
from dgdr_kube.manifests import is_owned_by
from dgdr_kube.ports import Manifest, WatchedCluster
from dgdr_kube.served import Mode, installed
from dgdr_operator.core import observed_run as read
from dgdr_operator.core.final_config import BadResult, read_deployment
from dgdr_operator.core.hardware import Node, decide_hardware
from dgdr_operator.core.job import read_override
from dgdr_operator.core.lacks import DATA_PLANE_READY, lacks_of_request
from dgdr_operator.core.lifecycle import may_start_over, phase_of
from dgdr_operator.core.observation import (
    DgdSeen,
    JobState,
    Observation,
    Origin,
    PullFailure,
    Request,
)
from dgdr_operator.core.observed_job import job_seen
from dgdr_operator.followed import OF_GRAPH, OF_JOB, OF_RUN
from dgdr_operator.passes.claims import claims_of
from dgdr_operator.passes.data_plane_observer import DataPlaneObserver
from dgdr_operator.settings import Settings

DEFAULT_POLICY = "default"
NEEDED_KINDS = (DGD, DGDSA, WORKER_METADATA, SLA_PLANNER)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Policy:
    """The policy that applies, or why it cannot."""

    name: str
    spec: ProfilingPolicySpec
    problem: Problem | None = None


class DgdrObserver:
    """Looks at one request at a time; writes nothing."""

    def __init__(
        self, cluster: WatchedCluster, data_plane: DataPlaneObserver, settings: Settings
    ) -> None:
        self._cluster = cluster
        self._data_plane = data_plane
        self._prometheus_url = settings.prometheus.url
        self._kinds = [kind for kind in NEEDED_KINDS if kind in installed(settings.mode)]
        self._is_beside = settings.mode is Mode.BESIDE
        self._policy_namespace = settings.profiling.policy_namespace

    async def observe(self, dgdr: Manifest) -> Observation:
        """Return what there is about this request."""
        request = read.request_seen(dgdr)
        seen = await self._run(request)
        if self._is_before_profiling(seen):
            seen = await self._references(seen, dgdr)
        elif _still_lacks(seen):
            seen = await self._with_lacks(seen, await self._data_plane.nodes())
        return replace(seen, dgd=await self._dgd(seen), claims=await self._claims(seen))

    @staticmethod
    def _is_before_profiling(seen: Observation) -> bool:
        if seen.request.deleting:
            return False
        there = seen.job.state is not JobState.ABSENT and not seen.job.going
        started = there and seen.accepted is not None
        return not started and (phase_of(seen) is Phase.PENDING or may_start_over(seen))

    async def _run(self, request: Request) -> Observation:
        """Look at the Job, what it was told, what it wrote and what it left behind."""
        namespace, name, uid = request.namespace, request.name, request.uid
        job = await self._cluster.look(JOB, namespace, names.job_name(name))
        told = await self._cluster.look(CONFIG_MAP, namespace, names.job_name(name))
        output = await self._cluster.look(CONFIG_MAP, namespace, names.output_config_map(name))
        left = await self._cluster.find(DGD, namespace, OF_RUN, uid)
        ours = [found if found and is_owned_by(found, uid) else None for found in (job, told)]
        pods = await self._cluster.find(POD, namespace, OF_JOB, name)
        return Observation(
            request=request,
            accepted=read.accepted_seen(ours[1]),
            in_the_way=read.stranger([job, told, output], uid),
            job=job_seen(ours[0], [pod for pod in pods if _is_of(pod, ours[0])]),
            output=read.output_seen(output if output and is_owned_by(output, uid) else None),
            candidates=read.candidates_seen(left),
        )

    async def _references(self, seen: Observation, dgdr: Manifest) -> Observation:
        """Look up what the spec names, and the GPUs; before profiling starts only."""
        request, spec = seen.request, seen.request.spec
        if spec is None:
            return seen
        policy = await self._policy(request.namespace, dgdr)
        known = None if policy.problem else policy.spec
        found = validate.problems(spec, known, request.name)
        if self._is_beside:
            found = (*found, *names_with_grove(spec, request.name))
        claim = await self._missing_claim(request.namespace, spec)
        data = await self._missing_data(request.namespace, policy)
        missing = [one for one in (policy.problem, claim, data) if one is not None]
        override = read_override(spec, known)
        nodes = await self._data_plane.nodes()
        return replace(
            await self._with_lacks(seen, nodes),
            in_the_way=seen.in_the_way or await self._foreign_dgd(request, spec),
            request=replace(
                request, problems=(*(str(entry) for entry in found), *override.problems)
            ),
            policy=policy.spec,
            missing=tuple(str(entry) for entry in missing),
            missing_unwatched=bool(data or (policy.problem and self._policy_namespace)),
            referred=_referred(spec, _policy_name(dgdr)),
            ignored_overrides=override.ignored,
            ignored_keys=(*planner_notes(effective(spec).planner or {}), *field_notes(spec)),
            # Without the right to read nodes the user has to say it all.
            hardware=decide_hardware(spec.hardware, nodes),
        )

    async def _foreign_dgd(self, request: Request, spec: DGDRSpec) -> str | None:
        """Name somebody else's deployment where ours is to come: said before it is profiled."""
        if not effective(spec).auto_apply:
            return None
        name = read.dgd_name_of(request, None)
        there = await self._cluster.look(DGD, request.namespace, name)
        foreign = read.origin_of(there, request) in (Origin.FOREIGN, Origin.RELEASED)
        return f"DynamoGraphDeployment {name}" if foreign else None

    async def _with_lacks(self, seen: Observation, nodes: list[Node] | None) -> Observation:
        """Look at what the request will need of installation and cluster."""
        spec = seen.accepted.spec if seen.accepted else seen.request.spec
        if spec is None:
            return seen
        wanted = effective(spec)
        unneeded = () if wanted.planner is not None else (SLA_PLANNER,)
        kinds = [kind for kind in self._kinds if kind not in unneeded]
        facts = await self._data_plane.facts(kinds, nodes)
        return replace(seen, lacks=lacks_of_request(wanted, self._prometheus_url, facts))

    async def _policy(self, namespace: str, dgdr: Manifest) -> _Policy:
        chosen = _policy_name(dgdr)
        name = chosen or DEFAULT_POLICY
        where = self._policy_namespace or namespace
        # A namespace apart may be none of those that are watched.
        read = self._cluster.get if self._policy_namespace else self._cluster.look
        manifest = await read(PROFILING_POLICY, where, name)
        if manifest is None:
            missing = references.missing_policy(name, where) if chosen else None
            return _Policy(name=name, spec=ProfilingPolicySpec(), problem=missing)
        try:
            spec = ProfilingPolicy.parse(manifest).spec
            barred = self._policy_namespace and not spec.serves(namespace)
            refusal = references.policy_not_for(name, where, namespace) if barred else None
            return _Policy(name=name, spec=spec, problem=refusal)
        except ValidationError as exc:
            first = problem.from_validation(exc, f"ProfilingPolicy {name}")[0]
            return _Policy(name=name, spec=ProfilingPolicySpec(), problem=first)

    async def _missing_claim(self, namespace: str, spec: DGDRSpec) -> Problem | None:
        cache = effective(spec).model_cache
        if cache is None or await self._cluster.look(PVC, namespace, cache.pvc_name) is not None:
            return None
        return references.missing_claim(cache.pvc_name, namespace)

    async def _missing_data(self, namespace: str, policy: _Policy) -> Problem | None:
        """Look for the data of the mocker: a user's own, which nobody watches."""
        name = policy.spec.mocker_data
        if not policy.spec.uses_mocker:
            return None
        if await self._cluster.get(CONFIG_MAP, namespace, name) is not None:
            return None
        return references.missing_config_map(name, namespace, policy.name)

    async def _claims(self, seen: Observation) -> Claims:
        """Look up what the claims of a result hand out before it is recorded."""
        request, output = seen.request, seen.output
        if phase_of(seen) is not Phase.PROFILING or output is None or not output.succeeded:
            return NO_CLAIMS
        try:
            found = read_deployment(output, request.name, request.namespace, request.uid)
        except BadResult:  # the decision says so
            return NO_CLAIMS
        return await claims_of(self._cluster, found.graph)

    async def _dgd(self, seen: Observation) -> DgdSeen | None:
        """Look at the generated DGD once there can be one."""
        phase = phase_of(seen)
        if phase not in (Phase.READY, Phase.DEPLOYING, Phase.DEPLOYED):
            return None
        namespace = seen.request.namespace
        name = read.dgd_name_of(seen.request, seen.accepted)
        manifest = await self._cluster.look(DGD, namespace, name)
        if manifest is None:
            return None
        dgd = read.dgd_seen(manifest, seen.request)
        data = names.profile_data_config_map(seen.request.uid)
        planner = await self._cluster.look(SLA_PLANNER, namespace, name)
        return replace(
            dgd,
            has_data=await self._cluster.look(CONFIG_MAP, namespace, data) is not None,
            planner=read.origin_of(planner, seen.request),
            pull_failures=() if dgd.ready else await self._pull_failures(namespace, name),
        )

    async def _pull_failures(self, namespace: str, name: str) -> tuple[PullFailure, ...]:
        pods = await self._cluster.find(POD, namespace, OF_GRAPH, name)
        return read.pull_failures(pods)


def _policy_name(dgdr: Manifest) -> str | None:
    annotations = dgdr["metadata"].get("annotations") or {}
    chosen: str | None = annotations.get(Annotation.PROFILING_POLICY.value)
    return chosen


def _referred(spec: DGDRSpec, policy: str | None) -> frozenset[tuple[Kind, str]]:
    """Return what is watched of what a request names."""
    cache = effective(spec).model_cache
    claims = {(PVC, cache.pvc_name)} if cache else set()
    return frozenset({(PROFILING_POLICY, policy or DEFAULT_POLICY), *claims})


def _still_lacks(seen: Observation) -> bool:
    """Whether something was lacking: looked at again until it is there."""
    known = find(seen.request.status.conditions, DATA_PLANE_READY)
    return known is not None and not known.is_true and not seen.request.deleting


def _is_of(pod: Manifest, job: Manifest | None) -> bool:
    return job is not None and is_owned_by(pod, job["metadata"]["uid"])
