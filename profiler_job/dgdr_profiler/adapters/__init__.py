"""The outside: the cluster, AIPerf, and the records of what was measured."""
