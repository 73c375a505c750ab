"""Figures, one module each: ``python -m bench.NAME``; ``python -m bench`` runs those of sizing.

Each prints JSON. Times are ratios against something timed in the same run, because machines are
noisy and differ; those of a cluster come with the load that the machine had.
"""
