"""What other programs say of what we do: written down once, committed, and compared by tests.

``python3 -m hack.reference`` makes the records anew. Each of those programs runs in an environment
of its own, which is made from the package index below the cache folder, and is no dependency.
"""
