"""Read what an API server stores, however deep: one object that nobody can read hides all others.

It stores objects of 10,000 levels. To read, copy, compare or convert one takes up to six calls a
level, and Python's limit, 1,000 of them, binds its JSON reader too.
"""

import resource
import sys
import threading

FRAMES = 60_000
# So many calls through C take 40 MiB. Linux leaves a main thread 128 MiB to grow into.
STACK_BYTES = 112 * 2**20


def allow_depth() -> None:
    """Have this process, and threads that it starts from now on, read objects of any depth."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    allowed = STACK_BYTES if hard == resource.RLIM_INFINITY else min(STACK_BYTES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_STACK, (allowed, hard))
    threading.stack_size(STACK_BYTES)
    sys.setrecursionlimit(max(sys.getrecursionlimit(), FRAMES * allowed // STACK_BYTES))
