"""From a forecast load to the replicas that each role needs."""
