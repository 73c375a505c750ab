"""The planner without a cluster: windows of load in, replicas out, by the same decision."""
