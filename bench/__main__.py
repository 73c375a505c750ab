"""Run every benchmark."""

from bench import sizing

for benchmark in (sizing,):
    benchmark.main()
