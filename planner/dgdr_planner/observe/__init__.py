"""Reading the world: from samples, manifests and pods to values."""
