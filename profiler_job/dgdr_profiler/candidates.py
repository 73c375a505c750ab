"""Every candidate of a request, with its graph and its identity, and why other shapes are none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import shorten

from dgdr_api.effective import EffectiveSpec
from dgdr_api.gpus import graph_gpus, least
from dgdr_api.graph import Graph, Role
from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.planner_config import fewest_of_roles, parse_planner_config
from dgdr_api.request import ProfilingRequest
from dgdr_profiler.core.candidate import Candidate, least_gpus
from dgdr_profiler.core.engine import Engine
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.expected import Expected, expected_of
from dgdr_profiler.core.known_model import KnownModel
from dgdr_profiler.core.limits import SearchLimits
from dgdr_profiler.core.obstacles import ReasonCode
from dgdr_profiler.core.point_key import Subject
from dgdr_profiler.core.render import Setting, candidate_graph, subject_of
from dgdr_profiler.core.search import SUMMARY_CHARS, Infeasible, SearchSpace, search, summary
from dgdr_profiler.core.shape import Shape
from dgdr_profiler.engines.mocker import Mocker
from dgdr_profiler.engines.registry import backends, candidate_engines, room_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a request asks for, and what is known of its model and of its mockers' data."""

    request: ProfilingRequest
    spec: EffectiveSpec
    setting: Setting
    profiles: Mapping[str, str] | None
    model: KnownModel
    gpus_at_once: int | None
    total_gpus: int | None

    @property
    def fewest(self) -> Mapping[Role, int]:
        """Replicas that each role has at least."""
        if self.spec.planner is None:
            return {}
        return fewest_of_roles(parse_planner_config(self.spec.planner).keys)

    @property
    def gpu(self) -> str | None:
        """Product of the GPUs, as points are keyed by it."""
        hardware = self.request.hardware
        return hardware.gpu_product or hardware.gpu_sku or self.spec.gpu_sku


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What is tried, and what is not. ``space`` says it in a sentence.

    ``expected`` says by the name of each graph what its engine should be like, ``notes`` what a
    reader of the report should know of their arguments.
    """

    candidates: tuple[Candidate, ...]
    graphs: Mapping[str, Graph]
    subjects: Mapping[str, Subject]
    infeasible: tuple[Infeasible, ...]
    space: str
    expected: Mapping[str, Expected]
    notes: tuple[str, ...]


def candidates_of(wanted: Wanted) -> Candidates:
    """Return the candidates of each backend that competes.

    Raises:
        InvalidRequest: nothing is possible, with the reasons; a single backend's own.
    """
    engines = candidate_engines(
        wanted.request, wanted.spec, wanted.profiles or (), wanted.model.facts
    )
    found: dict[Backend, Candidates] = {}
    refused: dict[Backend, str] = {}
    for backend, engine in engines.items():
        if backend is None:
            return _of_backend(wanted, engine, None)
        try:
            found[backend] = _of_backend(wanted, engine, backend)
        except InvalidRequest as exc:
            refused[backend] = str(exc)
    if not found:
        raise InvalidRequest("; ".join(f"{backend}: {why}" for backend, why in refused.items()))
    return _joined(found, refused)


def _joined(found: Mapping[Backend, Candidates], refused: Mapping[Backend, str]) -> Candidates:
    parts = [*found.values()]
    said = {**{backend: part.space for backend, part in found.items()}, **refused}
    return Candidates(
        candidates=tuple(c for part in parts for c in part.candidates),
        graphs={name: graph for part in parts for name, graph in part.graphs.items()},
        subjects={name: subject for part in parts for name, subject in part.subjects.items()},
        infeasible=tuple(entry for part in parts for entry in part.infeasible),
        space=_in_room([f"{backend}: {text}" for backend, text in said.items()]),
        expected={name: of for part in parts for name, of in part.expected.items()},
        notes=tuple(note for part in parts for note in part.notes),
    )


def _in_room(sentences: Sequence[str]) -> str:
    """Give each sentence its share of a condition's room."""
    return "; ".join(
        shorten(one, SUMMARY_CHARS // len(sentences), placeholder=" …") for one in sentences
    )


def _of_backend(wanted: Wanted, engine: Engine, backend: Backend | None) -> Candidates:
    limits = _limits(wanted, backend or backends(wanted.spec)[0])
    space = search(limits, wanted.model.facts)
    space = _of_mode(space, wanted)
    if isinstance(engine, Mocker) and wanted.profiles is not None:
        space = space.without(_without_data(space, engine, wanted.profiles)).required()
    shapes = {shape: Candidate.of(shape, backend) for shape in space.shapes}
    graphs = {s: candidate_graph(engine, wanted.setting, c) for s, c in shapes.items()}
    space = space.without(_over_budget(graphs, wanted.gpus_at_once)).required()
    sized = {shape: shapes[shape].sized(graphs[shape]) for shape in space.shapes}
    space = space.without(_not_deployable(sized, wanted)).required()
    return Candidates(
        candidates=tuple(sized[shape] for shape in space.shapes),
        graphs={shapes[shape].id: graphs[shape] for shape in space.shapes},
        subjects={
            shapes[shape].id: subject_of(
                candidate_graph(engine.without_guesses(), wanted.setting, shapes[shape]),
                engine,
                wanted.gpu,
                _data(engine, wanted, shape),
            )
            for shape in space.shapes
        },
        infeasible=tuple(replace(entry, backend=backend) for entry in space.infeasible),
        space=summary(space, wanted.model.basis),
        expected={
            graphs[shape].name: expected_of(shapes[shape], limits, wanted.model.facts)
            for shape in space.shapes
        },
        notes=tuple(
            f"{shapes[shape].label}: {note}"
            for shape in space.shapes
            for note in engine.notes(graphs[shape], shape)
        ),
    )


def _limits(wanted: Wanted, backend: Backend) -> SearchLimits:
    request, spec = wanted.request, wanted.spec
    hardware, policy = request.hardware, request.policy
    gpu_bytes = room_of(request, spec, None).gpu_bytes
    simulated = policy.uses_mocker
    return SearchLimits(
        min_engine_gpus=policy.min_gpus_per_engine or 1,
        max_engine_gpus=policy.max_gpus_per_engine,
        gpus_per_node=hardware.gpus_per_node or spec.gpus_per_node,
        gpus_at_once=wanted.gpus_at_once,
        # A mocker has no memory that could be too small.
        gpu_memory_bytes=None if simulated else gpu_bytes,
        isl=spec.isl,
        osl=spec.osl,
        backend=backend,
        aggregated=_aggregated(spec) is not False,
    )


def _aggregated(spec: EffectiveSpec) -> bool | None:
    """Return whether engines have to be aggregated; None: whatever needs the fewest GPUs.

    A planner's configuration says for which kind of deployment it is.
    """
    if spec.planner is None:
        return None
    return parse_planner_config(spec.planner).keys.aggregated


def _of_mode(space: SearchSpace, wanted: Wanted) -> SearchSpace:
    if not _aggregated(wanted.spec):
        return space
    return replace(space, shapes=tuple(s for s in space.shapes if s.is_aggregated))


def _without_data(
    space: SearchSpace, mocker: Mocker, profiles: Mapping[str, str]
) -> tuple[Infeasible, ...]:
    return tuple(
        Infeasible(
            shape=shape,
            code=ReasonCode.NO_DATA,
            reason=f"ConfigMap {mocker.data} has no {', '.join(sorted(missing))}",
        )
        for shape in space.shapes
        if (missing := _keys(mocker, shape) - profiles.keys())
    )


def _over_budget(graphs: Mapping[Shape, Graph], most: int | None) -> tuple[Infeasible, ...]:
    """Return the shapes that an override made too large for the GPUs that may be held.

    Resource claims are not judged here, where nobody may look them up: the operator does, before
    a candidate gets pods.
    """
    if most is None:
        return ()
    return tuple(
        Infeasible(
            shape=shape,
            code=ReasonCode.OVER_BUDGET,
            reason=f"with overrides.dgd it asks for {gpus} GPUs, {most} may be held at once",
        )
        for shape, graph in graphs.items()
        if (gpus := least(graph_gpus(graph))) > most
    )


def _not_deployable(
    candidates: Mapping[Shape, Candidate], wanted: Wanted
) -> tuple[Infeasible, ...]:
    """Return the shapes of which nothing could be deployed in the end, whatever they measure.

    Each role counts with the fewest replicas that the planner may leave it.
    """
    most, fewest = wanted.total_gpus, wanted.fewest
    return tuple(
        Infeasible(
            shape=shape,
            code=ReasonCode.OVER_BUDGET,
            reason=f"the smallest deployment with it has {least} GPUs{_with_replicas(fewest)}, "
            f"it may have {most} (hardware.totalGpus, features.planner.max_gpu_budget)",
        )
        for shape, candidate in candidates.items()
        if most is not None
        and (least := least_gpus(candidate, candidates.values(), fewest)) is not None
        and least > most
    )


def _with_replicas(fewest: Mapping[Role, int]) -> str:
    """Say how many replicas a planner's minima make of it, where they do."""
    if max(fewest.values(), default=1) == 1:
        return ""
    counts = " and ".join(f"{count} {role}" for role, count in fewest.items())
    return f" in {counts} replicas (min_endpoint)"


def _keys(mocker: Mocker, shape: Shape) -> set[str]:
    return {mocker.profile_key(mapping) for mapping in shape.mappings.values()}


def _data(engine: Engine, wanted: Wanted, shape: Shape) -> str:
    """Return the digest of what simulated engines are fed with; empty for real ones."""
    if not isinstance(engine, Mocker):
        return ""
    profiles = wanted.profiles or {}
    return ",".join(profiles.get(key, "") for key in sorted(_keys(engine, shape)))
