"""Run the benchmarks of sizing."""

from bench import continuity, poisson_prefill, sizing

for benchmark in (sizing, continuity, poisson_prefill):
    benchmark.main()
