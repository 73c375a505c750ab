"""The contract: models of every kind, the Graph and its codecs, names, and the CRD generator.

Everything here is pure. It may import pydantic, yaml and the standard library, never a
Kubernetes client, a file, the environment or a clock.
"""
