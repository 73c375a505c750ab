"""Names of models in the command lines that people write."""

from typing import Any

import pytest

from dgdr_operator.core.served_model import served_model_name
from support.dgds import entry, graph


@pytest.mark.parametrize(
    ("main", "name"),
    [
        pytest.param({"args": ["--model", "Qwen/Q"]}, "Qwen/Q", id="two words"),
        pytest.param({"args": ["--model=Qwen/Q"]}, "Qwen/Q", id="one word"),
        pytest.param(
            {"args": ["--model-path", "/m", "--model-name", "q"]}, "q", id="mocker: name over path"
        ),
        pytest.param(
            {"args": ["--model", "/m", "--served-model-name", "q"]}, "q", id="served name first"
        ),
        pytest.param({"command": ["sh", "-c", "x --model q --tp 2"]}, "q", id="a shell's line"),
        pytest.param(
            {"args": ["--model", "$(M)"], "env": [{"name": "M", "value": "q"}]}, "q", id="variable"
        ),
        pytest.param({"args": ["--model", "${M}"]}, None, id="a variable nobody knows"),
        pytest.param({"args": ["--model"]}, None, id="a flag without a value"),
        pytest.param({"command": ["sh", "-c", "x --model 'q"]}, None, id="an unclosed quote"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_name(main: dict[str, Any], name: str | None) -> None:
    whole = graph(entry("w", "worker", main=main))
    assert served_model_name(whole, whole.components[0]) == name


def test_a_frontend_serves_no_model_of_its_own() -> None:
    whole = graph(entry("f", "frontend", main={"args": ["--model-name", "q"]}))
    assert served_model_name(whole, whole.components[0]) is None
