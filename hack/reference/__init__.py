"""What other programs say of what we do: written down once, committed, and compared by tests.

``python3 -m hack.reference`` makes the record of AIConfigurator anew, in an environment of its own
below the cache folder. ``flags.py`` runs where an engine is installed. None is a dependency.
"""
