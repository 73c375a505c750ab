"""What the two controllers share: cluster access, watches, work queue, health and metrics."""
