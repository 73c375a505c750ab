"""The table of docs/planner-vs-upstream.md is what the code computes, row by row."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.reference import reference_data, reference_engine
from dgdr_api.graph import Role
from dgdr_perf.classic import UNLIMITED, ClassicInput, ClassicProfile, classic_replicas
from dgdr_perf.sizing import Percentile, Sizing, Targets, Workload, size_decode, size_prefill
from dgdr_planner.limit.budget import RoleDemand, plan_own

PAGE = Path(__file__).parents[3] / "docs" / "planner-vs-upstream.md"
ROWS = 26
SAME = "same"
HOLDS = "holds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case: a window of 60 s, what is asked, and both answers as written on the page."""

    case: str
    window: ClassicInput
    upstream: str
    ours: str
    ours_p95: str
    why: str


def options(text: str) -> dict[str, float]:
    """Read ``ttft 200, itl 10``."""
    names = {"ttft": "ttft_ms", "itl": "itl_ms", "budget": "max_gpu_budget", "min": "min_endpoint"}
    found: dict[str, float] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, value = part.split(" ")
        if name == "GPUs":
            found["gpus_p"], found["gpus_d"] = (int(gpus) for gpus in value.split("/"))
        else:
            found[names.get(name, name)] = float(value) if "." in value else int(value)
    return found


def rows() -> Iterator[Row]:
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 8 or not cells[1].isdigit():
            continue
        case, n, lengths, asked, upstream, ours, ours_p95, why = cells
        isl, osl = (float(tokens) for tokens in lengths.split("/"))
        given = {"max_gpu_budget": UNLIMITED} | options(asked)
        window = ClassicInput(n=float(n), isl=isl, osl=osl, interval_s=60.0, **given)  # type: ignore[arg-type]
        yield Row(
            case=case, window=window, upstream=upstream, ours=ours, ours_p95=ours_p95, why=why
        )


TABLE = list(rows())


def sized(window: ClassicInput, percentile: Percentile) -> tuple[Sizing, Sizing]:
    load = Workload(rate_per_s=window.n / window.interval_s, isl=window.isl, osl=window.osl)
    targets = Targets(ttft_ms=window.ttft_ms, itl_ms=window.itl_ms, percentile=percentile)
    engine = reference_engine()
    return size_prefill(engine, load, targets), size_decode(engine, load, targets)


def ours(window: ClassicInput, percentile: Percentile) -> str:
    """Replicas of both roles from one of each, within the budget, as the page writes them."""
    demands = tuple(
        RoleDemand(
            role=role,
            gpus_each=gpus,
            replicas=window.min_endpoint,
            held=window.min_endpoint,
            fewest=window.min_endpoint,
            asked=max(answer.replicas, window.min_endpoint),
            need=answer.replicas_exact,
            rate_per_s=window.n / window.interval_s,
        )
        for role, gpus, answer in zip(
            (Role.PREFILL, Role.DECODE),
            (window.gpus_p, window.gpus_d),
            sized(window, percentile),
            strict=True,
        )
    )
    plan = plan_own(demands, window.max_gpu_budget)
    if plan.infeasible:
        return HOLDS
    return f"{plan.replicas[Role.PREFILL]},{plan.replicas[Role.DECODE]}"


def test_the_page_has_every_case() -> None:
    assert len(TABLE) == ROWS


@pytest.fixture(scope="module")
def classic() -> ClassicProfile:
    return ClassicProfile.of(*reference_data())


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.case)
def test_classic_is_upstream(row: Row, classic: ClassicProfile) -> None:
    prefill, decode = classic_replicas(classic, row.window)
    assert f"{prefill},{decode}" == row.upstream


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.case)
def test_the_default_policy_answers_as_documented(row: Row) -> None:
    assert ours(row.window, Percentile.MEAN) == row.ours
    assert ours(row.window, Percentile.P95) == row.ours_p95


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.case)
def test_every_difference_has_a_reason(row: Row) -> None:
    differs = {row.ours, row.ours_p95} != {row.upstream}
    assert differs == (row.why != SAME)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.case)
def test_no_budget_is_exceeded(row: Row) -> None:
    for percentile in (Percentile.MEAN, Percentile.P95):
        answer = ours(row.window, percentile)
        if answer != HOLDS:
            prefill, decode = (int(replicas) for replicas in answer.split(","))
            gpus = prefill * row.window.gpus_p + decode * row.window.gpus_d
            assert gpus <= row.window.max_gpu_budget


@pytest.mark.parametrize(
    ("change", "which"),
    [({"itl_ms": 2}, 1), ({"ttft_ms": 10}, 0)],
    ids=["ITL unreachable", "TTFT unreachable"],
)
def test_an_unreachable_target_is_said_to_be(change: dict[str, float], which: int) -> None:
    window = ClassicInput(n=600, isl=3000, osl=300, interval_s=60, **change)  # type: ignore[arg-type]
    reachable = [answer.reachable for answer in sized(window, Percentile.MEAN)]
    assert reachable == [which != 0, which != 1]


def test_a_prompt_beyond_the_profile_is_said_to_be() -> None:
    window = ClassicInput(n=600, isl=32_000, osl=300, interval_s=60)
    assert [answer.in_range for answer in sized(window, Percentile.MEAN)] == [False, False]
