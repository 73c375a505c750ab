from typing import Any

import pytest

from dgdr_api.effective import effective
from dgdr_profiler.core.images import OF_OVERRIDES, fields_of_images, unpullable
from support.profiler_runs import request

OWN = {"image": "reg.test/vllm:1"}
UPSTREAM = {"image": "reg.test/dynamo-frontend:1.0.2", "backend": "auto"}


@pytest.mark.parametrize(
    ("spec", "image", "field"),
    [
        (OWN, "reg.test/vllm:1", "spec.image"),
        (UPSTREAM, "reg.test/vllm-runtime:1.0.2", "spec.image: its sibling"),
        (OWN, "images.test/mocker:dev", "images.dynamoMocker of the installation:"),
        (OWN, "reg.test/other:1", OF_OVERRIDES),
    ],
)
def test_an_image_is_named_with_the_field_that_says_it(
    spec: dict[str, Any], image: str, field: str
) -> None:
    asked = request(spec)
    fields = fields_of_images(asked, effective(asked.spec))
    assert unpullable(image, "not found", fields).startswith(f'{field} "{image}" cannot be pulled')
