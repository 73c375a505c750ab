"""Classes of faults: each module lists its points for a scenario, given its undisturbed calls."""
