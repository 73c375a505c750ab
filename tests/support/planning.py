"""Frontends that are scraped, curves, and observations: the world that a planner sees."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_metrics import PrometheusSource
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.sizing import Percentile, Targets
from dgdr_planner.forecast import Demand, Forecast
from dgdr_planner.observe import queries
from dgdr_planner.observe.endpoint import Endpoint
from dgdr_planner.observe.histogram import Histogram
from dgdr_planner.observe.history import Sample
from dgdr_planner.observe.observation import LoadSeen, Observation, RoleSeen, TargetSeen
from dgdr_planner.observe.snapshot import GraphKey, NoSnapshot, Snapshot, read
from dgdr_planner.observe.value import Idle, Metric, Unknown, Value
from dgdr_planner.policy import Limits, Policy

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE = "demo"
DGD_NAME = "q-dgd"
DYNAMO_NAMESPACE = "demo-q-dgd"
MODEL = "model"

# An 8B model, stretched four times: TTFT 190 ms at ISL 2048, ITL 18 ms alone.
PREFILL = PrefillData(
    isl=(256, 1024, 2048, 4096, 8192),
    ttft_ms=tuple(
        4 * (18.55 + 0.01411 * i + 4.919e-7 * i * i) for i in (256, 1024, 2048, 4096, 8192)
    ),
    thpt_per_gpu=(3000, 7800, 10_500, 12_900, 14_500),
)
_CELLS = [(n, c) for n in (1, 8, 32, 64) for c in (300, 1200, 2300)]
DECODE = DecodeData(
    kv_usage=tuple(n * c / 945_029 for n, c in _CELLS),
    context_length=tuple(float(c) for _, c in _CELLS),
    itl_ms=tuple(4 * (4.452 + 0.022245 * n + 3.16e-5 * n * c) for n, c in _CELLS),
    thpt_per_gpu=tuple(
        1000 * n / (4 * (4.452 + 0.022245 * n + 3.16e-5 * n * c)) for n, c in _CELLS
    ),
    max_kv_tokens=945_029,
)
PROFILE = EngineProfile.of(PREFILL, DECODE)

POLICY = Policy(
    targets=Targets(ttft_ms=300, itl_ms=25, percentile=Percentile.MEAN),
    limits={Role.PREFILL: Limits(fewest=1, most=8), Role.DECODE: Limits(fewest=1, most=8)},
    interval_s=15,
    stabilization_s=60,
    max_step_down=8,
    forecast_model="LastValue",
    quantile=0.5,
)


class Exactly:
    """Forecasts what was last seen, no more and no less: for tests of all that comes after."""

    def forecast(
        self, demand: Demand, horizon_s: float, quantile: float, model: str
    ) -> Forecast | Unknown:
        rows = demand.recent
        known = [(isl, osl) for _, _, _, isl, osl in rows.tolist() if isl == isl]
        rate = float(rows[-1][2])
        if rate > 0 and not known:
            return Unknown("NothingFinished", "no request has finished")
        isl, osl = known[-1] if known else (None, None)
        return Forecast(rate_per_s=rate, isl=isl, osl=osl, horizon_s=horizon_s)


EXACTLY = Exactly()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def role(which: Role, replicas: int, ready: int | None = None) -> RoleSeen:
    return RoleSeen(
        role=which,
        component=which.value,
        replicas=replicas,
        ready=replicas if ready is None else ready,
        gpus_per_replica=1,
        adapter_version="1",
    )


def target(prefill: int = 1, decode: int = 1, **changes: Any) -> TargetSeen:
    """A deployment; keywords change both roles."""
    return _target(*(replace(one, **changes) for one in _roles(prefill, decode)))


def _roles(prefill: int, decode: int) -> tuple[RoleSeen, RoleSeen]:
    return role(Role.PREFILL, prefill), role(Role.DECODE, decode)


def _target(*roles: RoleSeen) -> TargetSeen:
    return TargetSeen(
        namespace=NAMESPACE,
        name=DGD_NAME,
        model=MODEL,
        roles=roles,
        frontends=1,
    )


def load(rate_per_s: float, isl: float = 2048, osl: float = 128) -> LoadSeen:
    """Load of equal requests as one frontend shows it; a rate of 0 is idle."""
    nothing = rate_per_s == 0
    numbers: dict[str, Metric] = {
        name: Idle() if nothing else Value(number)
        for name, number in {
            "rate_per_s": rate_per_s,
            "isl": isl,
            "osl": osl,
            "ttft_ms": 250.0,
            "itl_ms": 19.0,
            "duration_s": 3.0,
        }.items()
    }
    return LoadSeen(
        window_s=20,
        frontends=1,
        isl_quantiles=((0.0, isl), (1.0, isl)),
        osl_quantiles=((0.0, osl), (1.0, osl)),
        **numbers,
    )


def unknown(reason: str = "PrometheusUnreachable", cause: str = "Prometheus is away") -> LoadSeen:
    return LoadSeen.unknown(reason, cause, 20)


def seeing(what: LoadSeen, prefill: int = 1, decode: int = 1) -> Observation:
    return Observation(target=target(prefill, decode), load=what)


def policy(**changes: Any) -> Policy:
    return replace(POLICY, **changes)


Curve = Callable[[float], float]


def series(
    name: str,
    values: Curve | Mapping[float, float],
    *,
    times_s: Iterable[float],
    pod: str = "frontend-a",
    namespace: str = NAMESPACE,
    dynamo_namespace: str = DYNAMO_NAMESPACE,
    **labels: str,
) -> dict[str, Any]:
    """One entry of a range selector's result; a mapping has samples only where it has keys."""
    at_s = values if callable(values) else values.get
    samples = [[time, str(value)] for time in times_s if (value := at_s(time)) is not None]
    own = {
        "__name__": name,
        "namespace": namespace,
        "dynamo_namespace": dynamo_namespace,
        "pod": pod,
        "instance": f"{pod}:8000",
        "job": "dynamo",
    }
    return {"metric": own | labels, "values": samples}


def frontend(
    times_s: Iterable[float],
    *,
    rate_per_s: float = 0.0,
    isl: float = 2048,
    osl: float = 128,
    in_flight: Curve = lambda _: 0.0,
    since_s: float = 0.0,
    served_before: float = 1000.0,
    **where: str,
) -> list[dict[str, Any]]:
    """All series of a frontend that has finished ``rate_per_s`` since ``since_s``."""
    scrapes = tuple(times_s)

    def done(time: float) -> float:
        return served_before + rate_per_s * max(time - since_s, 0.0)

    def times(factor: float) -> Curve:
        return lambda time: factor * done(time)

    means = {
        queries.TTFT: 0.25,
        queries.ITL: 0.019,
        queries.DURATION: 3.0,
        queries.ISL: isl,
        queries.OSL: osl,
    }
    entries = [
        series(queries.ALIVE, lambda _: 0.0, times_s=scrapes, **where),
        series(queries.MODEL_KNOWN, lambda _: 4096.0, times_s=scrapes, model=MODEL, **where),
        series(queries.IN_FLIGHT, in_flight, times_s=scrapes, model=MODEL, **where),
        series(queries.COMPLETED, done, times_s=scrapes, model=MODEL, status="success", **where),
    ]
    for name, mean in means.items():
        for part, factor in (("sum", mean), ("count", 1.0)):
            entries.append(
                series(f"{name}_{part}", times(factor), times_s=scrapes, model=MODEL, **where)
            )
    return entries


def sla_planner(**spec: Any) -> dict[str, Any]:
    """An SLAPlanner ``q-dgd`` in ``demo``; keywords replace fields of its spec."""
    return {
        "apiVersion": "dgdr.dev/v1alpha1",
        "kind": "SLAPlanner",
        "metadata": {"name": DGD_NAME, "namespace": NAMESPACE},
        "spec": {
            "targetRef": {"kind": "DynamoGraphDeployment", "name": DGD_NAME},
            "sla": {"ttftMs": 300, "itlMs": 25},
            "profile": {"configMapRef": {"name": "curves"}},
            "roles": {"prefill": {"min": 1, "max": 8}, "decode": {"min": 1, "max": 8}},
            "interval": "15s",
            "forecast": {"model": "LastValue", "quantile": 0.5},
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "maxStep": 8}},
            **spec,
        },
    }


def curves_config_map() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "curves", "namespace": NAMESPACE},
        "data": {
            "prefill_raw_data.json": PREFILL.to_json(),
            "decode_raw_data.json": DECODE.to_json(),
        },
    }


def worker(name: str, replicas: int, **fields: Any) -> dict[str, Any]:
    main = {
        "name": "main",
        "image": "registry.test/dynamo-mocker:dev",
        "args": ["--model-path", "/model", "--model-name", MODEL],
        "resources": {"limits": {"nvidia.com/gpu": "2"}},
    }
    template = {"spec": {"containers": [main]}}
    return {
        "name": name,
        "type": name,
        "replicas": replicas,
        "podTemplate": template,
        "scalingAdapter": {},
    } | fields


def graph_deployment(prefill: int = 1, decode: int = 1) -> dict[str, Any]:
    """A deployment whose pods are all ready."""
    main = {"name": "main", "image": "registry.test/dynamo-mocker:dev"}
    counts = {"Frontend": 1, "prefill": prefill, "decode": decode}
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": DGD_NAME, "namespace": NAMESPACE},
        "spec": {
            "components": [
                {
                    "name": "Frontend",
                    "type": "frontend",
                    "podTemplate": {"spec": {"containers": [main]}},
                },
                worker("prefill", prefill),
                worker("decode", decode),
            ]
        },
        "status": {
            "components": {
                name: {"replicas": count, "readyReplicas": count} for name, count in counts.items()
            }
        },
    }


def adapter(component: str, replicas: int) -> dict[str, Any]:
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeploymentScalingAdapter",
        "metadata": {"name": f"{DGD_NAME}-{component}", "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "dgdRef": {"name": DGD_NAME, "serviceName": component},
        },
    }


def _equal(tokens: float) -> Histogram:
    return Histogram(bounds=(tokens - 1.0, tokens), at_most=(0.0, 1.0), total=1.0)


EQUAL_LENGTHS = {queries.ISL: _equal(2048.0), queries.OSL: _equal(128.0)}


class FakeMetrics:
    """A Prometheus that shows whatever rate is set; None is one that does not answer.

    ``trouble`` is answered in its place.
    """

    def __init__(self) -> None:
        self.rate_per_s: float | None = 0.0
        self.trouble: NoSnapshot | None = None
        self.past: tuple[Sample, ...] | NoSnapshot = ()
        self.pasts_asked = 0
        self.asked: list[tuple[str, float]] = []

    async def snapshot(
        self, endpoint: Endpoint, window_s: float, *, counts_only: bool = False
    ) -> Snapshot | NoSnapshot:
        self.asked.append((endpoint.url, window_s))
        if self.trouble is not None:
            return self.trouble
        if self.rate_per_s is None:
            return NoSnapshot("PrometheusUnreachable", "Prometheus cannot be reached")
        scrapes = tuple(1000.0 - window_s + 3 + 5 * step for step in range(int(window_s / 5)))
        found = read(frontend(scrapes, rate_per_s=self.rate_per_s), at_s=1000.0, window_s=window_s)
        return replace(found, histograms=dict.fromkeys(found.graphs, EQUAL_LENGTHS))

    async def history(
        self, endpoint: Endpoint, graph: GraphKey, interval_s: float, windows: int, scrape_s: float
    ) -> tuple[Sample, ...] | NoSnapshot:
        self.pasts_asked += 1
        return self.past


class FakeEndpoints:
    """The installation's Prometheus, unless a planner names its own; '' is none."""

    def __init__(self, url: str = "http://prometheus:9090") -> None:
        self.url = url

    async def endpoint(
        self, namespace: str, source: PrometheusSource | None
    ) -> Endpoint | NoSnapshot:
        url = source.url if source else self.url
        return Endpoint(url=url) if url else NoSnapshot("PrometheusMissing", "none is named")
