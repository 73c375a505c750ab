"""Decisions of the planner: pure, without cluster, network, file or clock."""
