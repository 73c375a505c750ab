"""What other programs say of what we do: written down once, committed, and compared by tests.

``python3 -m hack.reference`` makes the records anew, in environments of their own below the cache
folder. None of the programs is a dependency.
"""
