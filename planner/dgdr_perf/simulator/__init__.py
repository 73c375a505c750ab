"""Discrete-event simulation of engines: what latencies a load would have had.

Independent of sizing: it knows the engines' times, and no formula of waiting.
"""
