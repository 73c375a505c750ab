"""The SLA planner: a controller that keeps latency targets on the fewest GPUs."""
