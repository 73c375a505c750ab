"""Passes over one object: observe, decide, write the difference, report."""
