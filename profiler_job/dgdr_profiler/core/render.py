"""The graphs of a run: one for each candidate, and the one that is handed over at its end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from dgdr_api import names
from dgdr_api.codec_v1beta1 import encode
from dgdr_api.effective import EffectiveSpec
from dgdr_api.graph import Component, Graph, Json, Role
from dgdr_api.planner_config import BudgetTooSmall, parse_planner_config, sla_planner
from dgdr_api.pods import GPU_PRODUCT
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.engine import Engine
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.override import override, override_name
from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.point_key import Subject, engines_of
from dgdr_profiler.core.shape import Shape
from dgdr_profiler.core.sizing import Replicas, role_targets
from dgdr_profiler.core.targets import Targets, targets_of

# Nobody waits for a candidate's last request; its GPUs are wanted at once.
CANDIDATE_GRACE_S = 1
ROUTER_MODE = "DYN_ROUTER_MODE"
# The second is the name that older releases have.
ROUTER_EVENTS = ("DYN_ROUTER_USE_KV_EVENTS", "DYN_KV_EVENTS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all graphs of a run share."""

    dgdr: str
    namespace: str
    uid: str
    wanted: EffectiveSpec
    gpu_product: str | None = None
    pull_secrets: Sequence[str] = ()


def candidate_graph(engine: Engine, setting: Setting, candidate: Candidate) -> Graph:
    """Return what is measured: one replica of each engine of a candidate, and a frontend."""
    name = names.candidate_dgd_name(setting.dgdr, candidate.id)
    graph = _base(engine, setting, name, candidate.shape)
    for role in _roles(graph):
        graph = _each(graph, role, lambda c: c.with_(replicas=1))
    graph = _each(graph, None, _ends_quickly)
    labels = {
        **graph.labels,
        names.Label.RUN.value: setting.uid,
        names.Label.CANDIDATE.value: candidate.id,
    }
    return graph.with_(labels=labels)


def final_graph(engine: Engine, setting: Setting, chosen: Selection, replicas: Replicas) -> Graph:
    """Return what is deployed in the end."""
    name = names.dgd_name(setting.dgdr, override_name(setting.wanted.dgd_override))
    graph = _base(engine, setting, name, chosen.shape)
    scaled = setting.wanted.planner is not None
    counts = {
        Role.PREFILL: replicas.prefill,
        Role.DECODE: replicas.decode,
        Role.WORKER: replicas.worker,
    }
    for role, count in counts.items():
        graph = _each(graph, role, _scaled(count, scaled))
    return graph


def final_config(setting: Setting, graph: Graph, chosen: Selection) -> str:
    """Return ``final_config.yaml``: the planner where one is wanted, and last the deployment.

    Raises:
        InvalidRequest: the planner's GPU budget does not hold the deployment.
    """
    documents: list[Mapping[str, Any]] = [encode(graph)]
    if setting.wanted.planner is not None:
        documents.insert(0, _planner(setting, setting.wanted.planner, graph, chosen))
    return to_yaml(documents)


def to_yaml(documents: Sequence[Mapping[str, Any]]) -> str:
    """Write manifests for a human."""
    return yaml.dump_all(documents, Dumper=_Plain, sort_keys=False)


def subject_of(graph: Graph, engine: Engine, gpu_product: str | None, data: str = "") -> Subject:
    """Return what a candidate's points are keyed by; ``data`` is a digest of mockers' data."""
    return Subject(
        engines=engines_of(graph),
        model=engine.served_model,
        gpu_product=gpu_product,
        data=data,
    )


def planner_targets_ms(targets: Targets, chosen: Selection) -> tuple[float, float]:
    """Return TTFT and ITL for the planner.

    A target for the whole answer is split the way the picked engines split it: the planner needs
    both, and they add up to the target again.
    """
    split = role_targets(targets, chosen.itl_ms(targets.osl))
    return split.ttft_ms, split.itl_ms


class _Plain(yaml.SafeDumper):
    """Writes equal parts out again: anchors and aliases are for machines."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _base(engine: Engine, setting: Setting, name: str, shape: Shape) -> Graph:
    """Template, override, and the shape once more, so that no override can undo it."""
    wanted = setting.wanted
    graph = engine.template(name, shape).with_(namespace=setting.namespace)
    graph = override(_with_router(graph, engine, wanted.kv_router), wanted.dgd_override)
    graph = engine.with_shape(graph, shape)
    tolerations = _tolerations(wanted.profiling_job_override)

    def placed(component: Component) -> Component:
        component = _pulled_with(component, setting.pull_secrets)
        tolerated = (*component.tolerations, *tolerations)
        return _pinned(component.with_(tolerations=tolerated), setting.gpu_product)

    return _each(graph, None, placed)


def _pulled_with(component: Component, secrets: Sequence[str]) -> Component:
    """Add the installation's pull secrets to those that the user names."""
    own = component.pod.get("imagePullSecrets") or []
    added = [{"name": name} for name in secrets if all(one.get("name") != name for one in own)]
    if not added:
        return component
    return component.with_(pod={**component.pod, "imagePullSecrets": [*own, *added]})


def _pinned(component: Component, product: str | None) -> Component:
    """Keep engines on the GPUs that are measured; who selects nodes knows better."""
    pod = component.pod
    chosen = pod.get("nodeSelector") or (pod.get("affinity") or {}).get("nodeAffinity")
    if product is None or component.gpus == 0 or chosen:
        return component
    return component.with_(pod={**pod, "nodeSelector": {GPU_PRODUCT: product}})


def _with_router(graph: Graph, engine: Engine, kv_router: bool) -> Graph:
    """Make the frontend route by cached prefixes, when that is wanted.

    Where engines do not tell what they have cached, the router predicts it from what it sent them.
    """
    if not kv_router:
        return graph
    said = {ROUTER_MODE: "kv"}
    if not engine.publishes_kv_events:
        said |= dict.fromkeys(ROUTER_EVENTS, "false")
    env = tuple({"name": name, "value": value} for name, value in said.items())
    return _each(graph, Role.FRONTEND, lambda c: c.with_(env=(*c.env, *env)))


def _tolerations(job_override: Json | None) -> tuple[Json, ...]:
    """Engines must get onto the nodes that the Job was told to tolerate."""
    template = (job_override or {}).get("template") or {}
    return tuple((template.get("spec") or {}).get("tolerations") or ())


def _ends_quickly(component: Component) -> Component:
    pod = {"terminationGracePeriodSeconds": CANDIDATE_GRACE_S, **component.pod}
    return component.with_(pod=pod)


def _scaled(count: int, adapter: bool) -> Callable[[Component], Component]:
    return lambda component: component.with_(replicas=count, scaling_adapter=adapter)


def _each(graph: Graph, role: Role | None, change: Callable[[Component], Component]) -> Graph:
    """Change the components of a role, or all of them."""
    for component in graph.components:
        if role is None or component.role is role:
            graph = graph.with_component(change(component))
    return graph


def _roles(graph: Graph) -> tuple[Role, ...]:
    return tuple(role for role in Role if role.serves_model and graph.with_role(role))


def _planner(setting: Setting, config: Json, graph: Graph, chosen: Selection) -> Mapping[str, Any]:
    ttft_ms, itl_ms = planner_targets_ms(targets_of(setting.wanted), chosen)
    try:
        planner = sla_planner(
            parse_planner_config(config),
            target=graph.name,
            namespace=setting.namespace,
            profile_config_map=names.profile_data_config_map(setting.uid),
            ttft_ms=ttft_ms,
            itl_ms=itl_ms,
            gpus={
                role: gpus for role in Role if role.serves_model and (gpus := _gpus(graph, role))
            },
        )
    except BudgetTooSmall as exc:
        raise InvalidRequest(str(exc)) from exc
    return planner.to_json()


def _gpus(graph: Graph, role: Role) -> int:
    return sum(c.gpus * c.nodes for c in graph.with_role(role))
