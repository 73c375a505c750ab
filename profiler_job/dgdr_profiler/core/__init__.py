"""Decisions, pure: what to try, what to measure next, what to pick."""
