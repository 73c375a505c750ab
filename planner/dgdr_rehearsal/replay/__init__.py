"""Rehearsals: a trace of requests against simulated replicas under one controller or another.

Nothing here touches a cluster, a clock or a file; ``plot`` alone draws.
"""
