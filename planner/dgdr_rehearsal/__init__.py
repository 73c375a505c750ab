"""The decisions of the planner without a cluster: replays of traces, and windows that are told."""
