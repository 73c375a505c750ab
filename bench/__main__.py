"""Run every benchmark."""

from bench import poisson_prefill, sizing

for benchmark in (sizing, poisson_prefill):
    benchmark.main()
