"""Which release the workers run."""

import pytest

from dgdr_api.releases import NEWEST, SINCE, Feature, Release, release_of


@pytest.mark.parametrize(
    ("version", "image", "release"),
    [
        pytest.param("1.1.0", "r.test/vllm-runtime:1.6.1", Release(1, 1), id="the request's word"),
        pytest.param(None, "r.test/vllm-runtime:1.0.2", Release(1, 0), id="the tag"),
        pytest.param(None, "r.test/a:v1.5.0-cuda13", Release(1, 5), id="a tag with more"),
        pytest.param(None, "r.test/a:1.10.0rc1@sha256:00", Release(1, 10), id="tag and digest"),
        pytest.param(None, "r.test:5000/a", NEWEST, id="no tag, but a port"),
        pytest.param(None, "r.test/a:my-tag", NEWEST, id="a tag that is no version"),
        pytest.param(None, "r.test/a:20260101", NEWEST, id="a date"),
        pytest.param(None, None, NEWEST, id="nothing"),
    ],
)
def test_the_release_of(version: str | None, image: str | None, release: Release) -> None:
    assert release_of(version, image) == release


def test_every_difference_has_its_first_release() -> None:
    assert set(SINCE) == set(Feature)
    assert all(NEWEST.has(feature) for feature in Feature)
    assert not any(Release(0, 9).has(feature) for feature in Feature)
