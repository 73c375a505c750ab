"""Benchmarks of an endpoint that runs already."""
