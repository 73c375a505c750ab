"""What the two controllers share: cluster access, work queue, kopf settings, health and metrics."""
