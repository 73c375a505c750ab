"""Where the planner meets Prometheus and the cluster."""
