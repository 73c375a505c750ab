"""``kubectl dgdr adopt``: the SLAPlanner of a deployment that somebody already runs.

``adopted`` is a pure function of what was read; the command prints what it returns, or makes it.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
import yaml

from dgdr_api.codec_v1beta1 import decode
from dgdr_api.graph import Component, Graph, Role
from dgdr_api.names import output_config_map
from dgdr_api.planner_component import planner_keys, planner_of, scaling_planner
from dgdr_api.planner_config import BudgetTooSmall, PlannerKeys, parse_planner_config, sla_planner
from dgdr_api.reading import CodecError
from dgdr_cli.connection import Context, Namespace, source_of
from dgdr_cli.errors import CliError, NotThere
from dgdr_cli.found import Running

Json = Mapping[str, Any]

# Where NVIDIA's profiler leaves its curves, unless a name is given to it.
NVIDIAS_PROFILE = "planner-profile-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user says; None: what is running says it."""

    ttft_ms: float | None = None
    itl_ms: float | None = None
    max_gpus: int | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What is to be applied, in this order, and what its reader should know."""

    manifests: tuple[dict[str, Any], ...]
    remarks: tuple[str, ...] = ()


def adopted(running: Running, wanted: Wanted) -> Adopted:
    """Return the SLAPlanner of a deployment, after a request to profile where there are no curves.

    Raises:
        CliError: something has to be said that what is running does not say.
    """
    graph = _decoded(running.dgd)
    roles, gpus = _roles(running.dgd, graph)
    nvidias = planner_of(graph)
    keys = {} if nvidias is None else planner_keys(nvidias)
    read = parse_planner_config(keys).keys
    targets = _targets(graph, read, wanted)
    held = sum(gpus[role] * (component.replicas or 1) for role, component in roles.items())
    given = wanted.max_gpus or (read.max_gpu_budget if "max_gpu_budget" in keys else None)
    has_another = scaling_planner(graph) is not None
    profile, request = _profile(running, graph, wanted, nvidias, targets)
    own = {"max_gpu_budget": given or held, "advisory": has_another}
    planner = _planner(graph, {**keys, **own}, profile, targets, gpus)
    return Adopted(
        manifests=(planner,) if request is None else (request, planner),
        remarks=(
            *_remarks(graph, held if given is None else None, nvidias if has_another else None),
            _about_curves(graph, profile, request),
        ),
    )


def _targets(graph: Graph, keys: PlannerKeys, wanted: Wanted) -> tuple[float, float]:
    """Return TTFT and ITL in milliseconds."""
    ttft_ms, itl_ms = wanted.ttft_ms or keys.ttft_ms, wanted.itl_ms or keys.itl_ms
    if ttft_ms is None or itl_ms is None:
        raise CliError(
            f"{graph.name} does not say its latency targets; give --ttft-ms and --itl-ms"
        )
    return ttft_ms, itl_ms


def _planner(
    graph: Graph, keys: Json, profile: str, targets: tuple[float, float], gpus: dict[Role, int]
) -> dict[str, Any]:
    ttft_ms, itl_ms = targets
    try:
        planner = sla_planner(
            parse_planner_config({**keys, "ttft": ttft_ms, "itl": itl_ms}),
            target=graph.name,
            namespace=graph.namespace or "default",
            profile_config_map=profile,
            ttft_ms=ttft_ms,
            itl_ms=itl_ms,
            gpus=gpus,
        )
    except BudgetTooSmall as exc:
        raise CliError(f"--max-gpus: {exc.why}") from exc
    return planner.to_json()


def _about_curves(graph: Graph, profile: str, request: Json | None) -> str:
    if request is None:
        return (
            f"the curves are those of ConfigMap {profile}: make sure that they are of this "
            "deployment's model and engine; --profile names others"
        )
    return (
        f"{graph.name} has no curves: request {request['metadata']['name']} measures some, on "
        "GPUs beside those that serve, and the planner holds until then; --profile names others"
    )


def _decoded(dgd: Json) -> Graph:
    try:
        return decode(dgd)
    except CodecError as exc:
        raise CliError(f"DynamoGraphDeployment {dgd['metadata']['name']}: {exc}") from exc


def _roles(dgd: Json, graph: Graph) -> tuple[dict[Role, Component], dict[Role, int]]:
    """Return the components that are scaled and the GPUs of a replica of each."""
    from dgdr_planner.observe.target import target_of
    from dgdr_planner.observe.value import Trouble

    pair = (Role.PREFILL, Role.DECODE)
    wanted = (Role.WORKER,) if graph.with_role(Role.WORKER) else pair
    seen = target_of(dgd, {}, wanted)
    if isinstance(seen, Trouble):
        raise CliError(seen.message)
    if seen.uncountable is not None:
        raise CliError(f"the GPUs of {graph.name} cannot be counted: {seen.uncountable}")
    roles = {role: graph.with_role(role)[0] for role in wanted}
    return roles, {one.role: one.gpus_per_replica for one in seen.roles}


def _profile(
    running: Running,
    graph: Graph,
    wanted: Wanted,
    nvidias: Component | None,
    targets: tuple[float, float],
) -> tuple[str, dict[str, Any] | None]:
    """Return the ConfigMap with the curves, and the request that measures them if nobody has.

    The one that NVIDIA's profiler leaves bears no name of a deployment: a namespace has one of its
    latest run, of whatever model. So it counts only where a planner of NVIDIA's reads it.
    """
    if wanted.profile is not None:
        if wanted.profile not in running.curves:
            there = ", ".join(sorted(running.curves)) or "none"
            raise CliError(
                f"--profile: ConfigMap {wanted.profile} holds no curves; those that do: {there}"
            )
        return wanted.profile, None
    nvidias_own = [] if nvidias is None else [*_mounted(nvidias), NVIDIAS_PROFILE]
    for name in (*nvidias_own, output_config_map(_request_name(graph))):
        if name in running.curves:
            return name, None
    request = _request(running, graph, targets)
    return output_config_map(request["metadata"]["name"]), request


def _mounted(planner: Component) -> Iterator[str]:
    for volume in planner.volumes:
        if name := (volume.get("configMap") or {}).get("name"):
            yield str(name)


def _request_name(graph: Graph) -> str:
    return f"{graph.name}-profile"


def _request(running: Running, graph: Graph, targets: tuple[float, float]) -> dict[str, Any]:
    """Return the request that measures what a deployment's engine can do, and deploys nothing."""
    from dgdr_planner.observe.target import target_of
    from dgdr_planner.observe.value import Trouble

    engines = [c for c in graph.components if c.role.serves_model]
    seen = target_of(running.dgd, {}, tuple(dict.fromkeys(c.role for c in engines)))
    model = None if isinstance(seen, Trouble) else seen.model
    image = engines[-1].image
    if model is None or image is None:
        raise CliError(
            f"{graph.name} does not say its model and its engine's image, so that nobody can "
            "profile it; give --profile, a ConfigMap with its curves"
        )
    return {
        "apiVersion": running.requests,
        "kind": "DynamoGraphDeploymentRequest",
        "metadata": {"name": _request_name(graph), "namespace": graph.namespace or "default"},
        "spec": {
            "model": model,
            **({"backend": graph.backend} if graph.backend else {}),
            "image": image,
            "autoApply": False,
            "sla": {"ttft": targets[0], "itl": targets[1]},
        },
    }


def _remarks(graph: Graph, held: int | None, another: Component | None) -> Iterator[str]:
    if held is not None:
        yield (
            f"the most is what runs now, {held} GPUs; --max-gpus, or an edit of spec.budget, "
            "allows more"
        )
    if another is not None:
        yield (
            f"{graph.name} has a planner of NVIDIA's, component {another.name}: this one starts in "
            f"mode Shadow; set that component's replicas to 0, then this one's mode to Active"
        )


Name = Annotated[str, typer.Argument(help="Name of the DynamoGraphDeployment.")]
Ttft = Annotated[float | None, typer.Option(min=0, help="Time to first token, milliseconds.")]
Itl = Annotated[float | None, typer.Option(min=0, help="Time between tokens, milliseconds.")]
MaxGpus = Annotated[int | None, typer.Option(min=1, help="Most GPUs. Default: those it has now.")]
Profile = Annotated[str | None, typer.Option(help="ConfigMap with curves of this deployment.")]
Apply = Annotated[bool, typer.Option("--apply", help="Make it, and print what was made.")]


def adopt(
    ctx: typer.Context,
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    ttft_ms: Ttft = None,
    itl_ms: Itl = None,
    max_gpus: MaxGpus = None,
    profile: Profile = None,
    apply: Apply = False,
) -> None:
    """Print the SLAPlanner of a deployment that runs already, whoever reconciles it.

    Roles, GPUs and limits are read from it, targets and curves from a planner of NVIDIA's in it.
    Without curves a request to measure them is printed, too.
    """
    source = source_of(ctx, context)
    running = source.find_graph(name, namespace)
    if running is None:
        where = f"namespace {namespace}" if namespace else "the context's namespace"
        raise NotThere(f"no DynamoGraphDeployment {name} in {where}")
    found = adopted(
        running, Wanted(ttft_ms=ttft_ms, itl_ms=itl_ms, max_gpus=max_gpus, profile=profile)
    )
    for remark in found.remarks:
        print(remark, file=sys.stderr)
    if apply:
        for manifest in found.manifests:
            source.create(manifest)
    sys.stdout.write(yaml.safe_dump_all(found.manifests, sort_keys=False, width=100))
