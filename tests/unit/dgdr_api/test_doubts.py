from typing import Any

import pytest

from dgdr_api.doubts import doubts
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec


def asked(**spec: Any) -> tuple[str, ...]:
    return doubts(DGDRSpec.model_validate({"model": "m", **spec}))


@pytest.mark.parametrize(
    ("spec", "question"),
    [
        ({"sla": {"ttft": 0.5, "itl": 50}}, "spec.sla.ttft is 0.5 ms; did you mean 500?"),
        ({"sla": {"ttft": 500, "itl": 0.05}}, "spec.sla.itl is 0.05 ms; did you mean 50?"),
        ({"sla": {"ttft": 2e6, "itl": 50}}, "spec.sla.ttft is 2000000 ms; did you mean 2000?"),
        ({"sla": {"ttft": 500, "itl": 2e4}}, "spec.sla.itl is 20000 ms; did you mean 20?"),
        ({"sla": {"e2eLatency": 4}}, "spec.sla.e2eLatency is 4 ms; did you mean 4000?"),
        (
            {"sla": {"ttft": 1e-7, "itl": 50}},
            "spec.sla.ttft is 1e-07 ms, which is below 2; is that meant?",
        ),
        (
            {"workload": {"isl": 20_000_000}},
            "spec.workload.isl is 20000000 tokens, which is above 10000000; is that meant?",
        ),
        (
            {"workload": {"osl": 2_000_000_000}},
            "spec.workload.osl is 2000000000 tokens, which is above 10000000; is that meant?",
        ),
        ({"hardware": {"vramMb": 80}}, "spec.hardware.vramMb is 80 MiB; did you mean 81920?"),
    ],
)
def test_a_value_that_nobody_means_is_asked_back(spec: dict[str, Any], question: str) -> None:
    assert asked(**spec) == (question,)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"sla": {"ttft": 2, "itl": 0.1}},
        {"sla": {"ttft": 600_000, "itl": 10_000}},
        {"sla": {"e2eLatency": 60_000}},
        {"workload": {"isl": 1, "osl": 1}},
        {"workload": {"isl": 1_000_000, "osl": 32_000}},
        {"hardware": {"vramMb": 81559}},
    ],
)
def test_what_engines_do_is_no_question(spec: dict[str, Any]) -> None:
    assert asked(**spec) == ()


def test_every_odd_value_has_its_question() -> None:
    assert len(asked(sla={"ttft": 0.5, "itl": 0.05}, workload={"isl": 99_000_000})) == 3
