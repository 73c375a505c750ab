"""Engines: how a graph is changed so that it runs one, with a mapping."""
