"""Performance figures, one module each: ``python -m bench`` runs all, ``python -m bench.NAME`` one.

Each prints one JSON object. Figures are ratios against something timed in the same run, because
machines are noisy and differ.
"""
