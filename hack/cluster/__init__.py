"""A real Kubernetes cluster for development: native namespaces, or kind where Docker answers."""
