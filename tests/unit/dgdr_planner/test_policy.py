import pytest

from dgdr_api.models.sla_planner import SLAPlannerSpec
from dgdr_planner.policy import Policy

SPEC = {
    "targetRef": {"name": "d"},
    "profile": {"configMapRef": {"name": "curves"}},
    "roles": {"prefill": {"min": 1, "max": 4}},
}


@pytest.mark.parametrize(
    ("promised", "share"),
    [
        pytest.param({}, 0.9, id="a mean"),
        pytest.param({"percentile": "p50"}, 0.9, id="no less than most of the time"),
        pytest.param({"percentile": "p95"}, 0.95, id="95 of 100 requests"),
        pytest.param({"percentile": "p99"}, 0.99, id="99 of 100 requests"),
    ],
)
def test_as_much_of_the_time_is_planned_for_as_requests_are_promised(
    promised: dict[str, str], share: float
) -> None:
    spec = {**SPEC, "sla": {"ttftMs": 200, "itlMs": 20, **promised}}
    assert Policy.of(SLAPlannerSpec.model_validate(spec)).quantile == share


def test_a_quantile_that_is_given_counts() -> None:
    spec = {
        **SPEC,
        "sla": {"ttftMs": 200, "itlMs": 20, "percentile": "p99"},
        "forecast": {"quantile": 0.8},
    }
    assert Policy.of(SLAPlannerSpec.model_validate(spec)).quantile == 0.8
