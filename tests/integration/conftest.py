"""Fixtures of all integration tests."""

from support.cluster import kubeconfig, light_cluster

__all__ = ["kubeconfig", "light_cluster"]
