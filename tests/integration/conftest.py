"""Fixtures of all integration tests."""

import pytest

from support.cluster import kubeconfig, light_cluster

__all__ = ["kubeconfig", "light_cluster"]

# A connection with TLS that ends when its loop does is closed by whoever collects garbage next; the
# test that runs at that moment has nothing to do with it.
UNCLOSED = (
    r"ignore:Exception ignored in. <(function _SelectorTransport|socket\.socket)"
    ":pytest.PytestUnraisableExceptionWarning"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Blame no test for what another one's loop has left open."""
    for item in items:
        if item.get_closest_marker("integration"):
            item.add_marker(pytest.mark.filterwarnings(UNCLOSED))
