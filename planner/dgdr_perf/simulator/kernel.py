"""The simulator's events, compiled: every request, replica and batch from one event to the next.

Requests and replicas are rows of arrays (``memory``). A request is in one place at a time, so
queues are linked through the requests themselves. Events are a heap by time, and at one time in
the order in which they were added; nothing is taken back: an event that has become void finds that
its time is not the one that is waited for, or that its replica is gone.

Every request of a batch gets one token per step, so an engine has one count of steps, and a
request that joins at ``steps`` leaves at ``steps + its tokens``. Between two changes of the batch
its cached tokens grow by the batch with every step. The step time is taken as linear in between,
through its values at both ends, which is exact for ``a + b * batch + c * kv_tokens``. Then time is
a quadratic function of steps and is solved in closed form: no event per token. Steps are counted
as a continuous number: a request joins at once instead of at the end of the step that runs.

One file, longer than others: what is compiled is kept by the file's date, and a function that
calls into another file would not see it change.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

from dgdr_perf.simulator.memory import Memory

F = TypeVar("F", bound=Callable[..., Any])

# Nothing here makes an array. Without Numba's run time (``_nrt``) the arrays that functions hand to
# each other are not counted, which took nine tenths of the time.
HOW: dict[str, Any] = {"cache": True, "error_model": "numpy", "_nrt": False}

# What a replica does.
PREFILL, DECODE, WORKER = 0, 1, 2
# How requests find one.
SHARED, ROUND_ROBIN, RANDOM = 0, 1, 2
# What happens. LEAVE: the next request of a batch is done. SUBMIT: a cache has arrived.
PROMPT, LEAVE, SUBMIT, STARTED, KILLED, FAIL = 0, 1, 2, 3, 4, 5
# Why it stopped: all is done until the time asked for; the next requests are missing; memory is
# short; the step table has too few rows; the random numbers are used up.
DONE, MORE, FULL, ROWS, CHANCES = 0, 1, 2, 3, 4
# What one event may write into a fixed buffer beyond what waits in line.
SPARE = 16


def compiled(function: F) -> F:
    """Compile on the first call, and keep the result beside the file or in the user's cache."""
    return cast(F, njit(**HOW)(function))


# ---- events


@compiled
def before(m: Memory, one: int, other: int) -> bool:
    """Whether an event of the heap comes before another."""
    at_s, other_s = m.events[one].at_s, m.events[other].at_s
    first = m.events[one].added < m.events[other].added
    return bool(at_s < other_s or (at_s == other_s and first))


@compiled
def add(m: Memory, at_s: float, kind: int, subject: int, argument: int) -> None:
    """Put an event on the heap; there is room (``short``)."""
    w = m.world[0]
    place = w.events
    w.events = place + 1
    w.added += 1
    added = w.added
    while place > 0:
        above = (place - 1) >> 1
        if at_s >= m.events[above].at_s:  # the one above was added earlier
            break
        m.events[place] = m.events[above]
        place = above
    e = m.events[place]
    e.at_s = at_s
    e.added = added
    e.kind = kind
    e.subject = subject
    e.argument = argument


@compiled
def pop(m: Memory) -> None:
    """Take the first event from the heap; it is kept behind the last one until the next ``add``."""
    w = m.world[0]
    last = w.events - 1
    w.events = last
    m.event[0] = m.events[0]
    place = 0
    while True:
        below = 2 * place + 1
        if below >= last:
            break
        if below + 1 < last and before(m, below + 1, below):
            below += 1
        if not before(m, below, last):
            break
        m.events[place] = m.events[below]
        place = below
    m.events[place] = m.events[last]


# ---- queues, linked through the requests


@compiled
def append(m: Memory, queue: Any, request: int) -> None:
    """Put a request at the end of a queue: a fleet's line or a replica's own."""
    m.requests[request - m.world[0].base].after = -1
    if queue.waiting == 0:
        queue.first = request
    else:
        m.requests[queue.last - m.world[0].base].after = request
    queue.last = request
    queue.waiting += 1


@compiled
def popleft(m: Memory, queue: Any) -> int:
    """Take the first request of a queue."""
    request = queue.first
    queue.first = m.requests[request - m.world[0].base].after
    queue.waiting -= 1
    return int(request)


@compiled
def tokens_of(m: Memory, request: int) -> float:
    """Context of a request at its end."""
    r = m.requests[request - m.world[0].base]
    return r.isl + r.osl  # type: ignore[no-any-return]


# ---- what became of a request


@compiled
def first_token(m: Memory, at_s: float, request: int) -> None:
    """The first token reached the user."""
    w = m.world[0]
    m.requests[request - w.base].first_token_s = at_s
    m.first_token_log[w.first_tokens] = request
    w.first_tokens += 1


@compiled
def finish(m: Memory, at_s: float, request: int) -> None:
    """The last token reached the user."""
    w = m.world[0]
    r = m.requests[request - w.base]
    r.finish_s = at_s
    r.settled = 1
    m.done_log[w.done] = request
    w.done += 1
    w.in_flight -= 1


@compiled
def lose(m: Memory, request: int) -> None:
    """The user got an error."""
    w = m.world[0]
    m.requests[request - w.base].settled = 1
    m.failed_log[w.failed] = request
    w.failed += 1
    w.in_flight -= 1


# ---- the running batch of an engine


@compiled
def step_s(m: Memory, count: int, kv_tokens: float) -> float:
    """Seconds of one step."""
    place = kv_tokens / m.world[0].max_kv_tokens * m.world[0].nodes
    node = min(int(place), m.world[0].nodes - 1)
    low = m.steps_s[count, node]
    return low + (m.steps_s[count, node + 1] - low) * (place - node)  # type: ignore[no-any-return]


@compiled
def advance(m: Memory, r: Any, at_s: float) -> None:
    """Do the steps until this time."""
    passed_s = at_s - r.since_s
    r.since_s = at_s
    if r.batch > 0 and passed_s > 0:
        root = math.sqrt(max(r.step_s * r.step_s + 2.0 * r.growth_s * passed_s, 0.0))
        steps = 2.0 * passed_s / (r.step_s + root)
        r.steps += steps
        r.kv_tokens += r.batch * steps


@compiled
def sooner(steps: float, request: int, other: float, other_request: int) -> bool:
    """Whether one request leaves a batch before another."""
    return steps < other or (steps == other and request < other_request)


@compiled
def join(m: Memory, r: Any, request: int) -> None:
    """Add a request that has its first token; ``advance`` before, ``plan`` after."""
    q = m.requests[request - m.world[0].base]
    leaving, members = m.leaving_at[r.row], m.members[r.row]
    steps = r.steps + q.osl - 1.0
    place = r.batch
    r.batch = place + 1
    while place > 0:
        above = (place - 1) >> 1
        if not sooner(steps, request, leaving[above], members[above]):
            break
        leaving[place], members[place] = leaving[above], members[above]
        place = above
    leaving[place], members[place] = steps, request
    r.kv_tokens += q.isl + 1.0
    r.reserved += q.isl + q.osl


@compiled
def leave(m: Memory, r: Any) -> int:
    """Remove the request that is due; ``plan`` after."""
    leaving, members = m.leaving_at[r.row], m.members[r.row]
    steps, request = leaving[0], members[0]
    last = r.batch - 1
    moved, moved_request = leaving[last], members[last]
    place = 0
    while True:
        below = 2 * place + 1
        if below >= last:
            break
        if below + 1 < last and sooner(
            leaving[below + 1], members[below + 1], leaving[below], members[below]
        ):
            below += 1
        if not sooner(leaving[below], members[below], moved, moved_request):
            break
        leaving[place], members[place] = leaving[below], members[below]
        place = below
    leaving[place], members[place] = moved, moved_request
    context = tokens_of(m, request)
    r.kv_tokens += r.batch * (steps - r.steps) - context
    r.batch = last
    r.reserved -= context
    r.steps = steps
    r.since_s = r.due_s
    return int(request)


@compiled
def plan(m: Memory, replica: int, at_s: float) -> None:
    """Go on from this time; the next request leaves at ``due_s``."""
    r = m.replicas[replica]
    r.since_s = at_s
    if r.serving > 0:  # an aggregated engine computes prompts first
        r.due_s = math.inf
        return
    if r.batch == 0:
        r.kv_tokens = 0.0
        r.reserved = 0.0
        r.due_s = math.inf
        return
    steps = max(m.leaving_at[r.row, 0] - r.steps, 0.0)
    first_s = step_s(m, r.batch, r.kv_tokens)
    last_s = step_s(m, r.batch, r.kv_tokens + r.batch * steps)
    r.step_s = first_s
    r.growth_s = (last_s - first_s) / steps if steps > 0 else 0.0
    r.due_s = at_s + steps * (first_s + last_s) / 2.0
    add(m, r.due_s, LEAVE, replica, 0)


# ---- one replica


@compiled
def held(r: Any) -> int:
    """Requests that a replica has taken; what does not apply to its kind is 0."""
    return int(r.waiting + r.batch + r.serving)


@compiled
def takes(m: Memory, replica: int, tokens: float) -> bool:
    """Whether a replica could start a request of this many tokens at once."""
    w, r = m.world[0], m.replicas[replica]
    kind = m.fleets[r.fleet].kind
    if kind != DECODE and r.serving >= w.ranks:
        return False
    if kind == PREFILL:
        return True
    promised = 0.0
    if kind == WORKER:
        for place in range(r.serving):
            promised += tokens_of(m, m.prompts[r.row, place])
        if r.batch + r.serving >= w.max_batch:
            return False
    return r.batch < w.max_batch and r.reserved + (promised + tokens) <= w.max_kv_tokens  # type: ignore[no-any-return]


@compiled
def offer(m: Memory, at_s: float, replica: int) -> None:
    """Let a replica start what it can of what waits for it."""
    w, r = m.world[0], m.replicas[replica]
    kind = m.fleets[r.fleet].kind
    if kind != PREFILL and r.serving == 0:
        advance(m, r, at_s)
    while r.waiting > 0 and takes(m, replica, tokens_of(m, r.first)):
        request = popleft(m, r)
        if kind == DECODE:
            admit(m, at_s, r, request)
        else:
            m.prompts[r.row, r.serving] = request
            r.serving += 1
            done_s = at_s + m.requests[request - w.base].prompt_s
            add(m, done_s, PROMPT, replica, request)
    if kind != PREFILL:
        plan(m, replica, at_s)


@compiled
def admit(m: Memory, at_s: float, r: Any, request: int) -> None:
    """Give a request its first token and a place in the batch."""
    first_token(m, at_s, request)
    if m.requests[request - m.world[0].base].osl > 1.0:
        join(m, r, request)
    else:
        finish(m, at_s, request)


@compiled
def served(m: Memory, r: Any, request: int) -> bool:
    """Take a request from those whose prompts are computed; False where it is not among them."""
    for place in range(r.serving):
        if m.prompts[r.row, place] == request:
            for later in range(place, r.serving - 1):
                m.prompts[r.row, later] = m.prompts[r.row, later + 1]
            r.serving -= 1
            return True
    return False


# ---- a fleet


@compiled
def drawn(m: Memory, count: int) -> int:
    """Return one of so many, by chance."""
    w = m.world[0]
    w.drawn += 1
    return int(m.chances[w.drawn - 1] * count)


@compiled
def split(m: Memory, fleet: int) -> int:
    """Return the ready replica that takes a request unseen."""
    f = m.fleets[fleet]
    if f.dispatch == RANDOM:
        return int(m.ready[fleet, drawn(m, f.ready)])
    f.turn += 1
    return int(m.ready[fleet, f.turn % f.ready])


@compiled
def choose(m: Memory, fleet: int) -> int:
    """Return the replica that takes the next of the common line; -1 when none can.

    The first free one computes prompts; of others the one with the fewest requests.
    """
    f = m.fleets[fleet]
    tokens = tokens_of(m, f.first)
    best, least = -1, 0
    for place in range(f.ready):
        replica = m.ready[fleet, place]
        if takes(m, replica, tokens):
            if f.kind == PREFILL:
                return int(replica)
            load = held(m.replicas[replica])
            if best < 0 or load < least:
                best, least = replica, load
    return int(best)


@compiled
def hand(m: Memory, at_s: float, replica: int, request: int) -> None:
    """Give a request to a replica."""
    w, r = m.world[0], m.replicas[replica]
    append(m, r, request)
    if m.fleets[r.fleet].kind != PREFILL:
        w.largest = max(w.largest, held(r))
    offer(m, at_s, replica)


@compiled
def submit(m: Memory, at_s: float, fleet: int, request: int) -> None:
    """Take a request, or refuse one that no replica could ever hold."""
    f = m.fleets[fleet]
    if f.kind != PREFILL and tokens_of(m, request) > m.world[0].max_kv_tokens:
        lose(m, request)
    elif f.ready == 0 or f.dispatch == SHARED:
        append(m, f, request)
        serve_line(m, at_s, fleet)
    else:
        hand(m, at_s, split(m, fleet), request)


@compiled
def serve_line(m: Memory, at_s: float, fleet: int) -> None:
    """Hand out the common line, as far as replicas can take it."""
    f = m.fleets[fleet]
    while f.waiting > 0:
        replica = -1
        if f.dispatch == SHARED:
            replica = choose(m, fleet)
        elif f.ready > 0:
            replica = split(m, fleet)
        if replica < 0:
            return
        hand(m, at_s, replica, popleft(m, f))


@compiled
def without(group: Any, count: int, replica: int) -> int:
    """Remove a replica from an ordered group; return how many are left."""
    place = 0
    while group[place] != replica:
        place += 1
    for later in range(place, count - 1):
        group[later] = group[later + 1]
    return count - 1


@compiled
def note(m: Memory, at_s: float, fleet: int) -> None:
    """Write down how many replicas there are from now on; the last note of a time counts."""
    w, f = m.world[0], m.fleets[fleet]
    if w.notes == 0 or m.notes[w.notes - 1].at_s != at_s or m.notes[w.notes - 1].fleet != fleet:
        w.notes += 1
    n = m.notes[w.notes - 1]
    n.at_s = at_s
    n.fleet = fleet
    n.ready = f.ready
    n.pending = f.pending
    n.leaving = f.leaving


@compiled
def create(m: Memory, at_s: float, fleet: int, ready: bool) -> None:
    """Add a replica, which is ready from the start or starts up; there is room."""
    w, f = m.world[0], m.fleets[fleet]
    replica = w.replicas
    w.replicas = replica + 1
    w.free_rows -= 1
    r = m.replicas[replica]
    r.fleet = fleet
    r.row = m.free_rows[w.free_rows]
    r.created_s = at_s
    r.gone_s = math.inf
    r.due_s = math.inf
    if ready:
        m.ready[fleet, f.ready] = replica
        f.ready += 1
    else:
        m.pending[fleet, f.pending] = replica
        f.pending += 1
        add(m, at_s + w.start_up_s, STARTED, replica, 0)


@compiled
def remove(m: Memory, at_s: float, replica: int) -> None:
    """Let a replica go that is in no group any more; what it holds is lost."""
    w, r = m.world[0], m.replicas[replica]
    r.gone_s = at_s
    for place in range(r.batch):
        lose(m, m.members[r.row, place])
    for place in range(r.serving):
        lose(m, m.prompts[r.row, place])
    while r.waiting > 0:
        lose(m, popleft(m, r))
    r.batch = 0
    r.serving = 0
    r.due_s = math.inf
    m.free_rows[w.free_rows] = r.row
    w.free_rows += 1


@compiled
def settle(m: Memory, at_s: float, replica: int) -> None:
    """Let a replica go that drains and has nothing left."""
    r = m.replicas[replica]
    if r.draining and r.gone_s == math.inf and held(r) == 0:
        f = m.fleets[r.fleet]
        f.leaving = without(m.leaving[r.fleet], f.leaving, replica)
        remove(m, at_s, replica)
        note(m, at_s, r.fleet)


@compiled
def drain(m: Memory, at_s: float, replica: int) -> None:
    """Give a ready replica no more requests."""
    r = m.replicas[replica]
    f = m.fleets[r.fleet]
    f.ready = without(m.ready[r.fleet], f.ready, replica)
    m.leaving[r.fleet, f.leaving] = replica
    f.leaving += 1
    r.draining = 1
    if m.world[0].drain_s < math.inf:
        add(m, at_s + m.world[0].drain_s, KILLED, replica, 0)
    settle(m, at_s, replica)


@compiled
def scale(m: Memory, at_s: float, fleet: int, replicas: int) -> None:
    """Create or take away replicas: pending ones first, then those with the least to do.

    Of equals the newest goes, as in a ReplicaSet.
    """
    f = m.fleets[fleet]
    for _ in range(replicas - f.ready - f.pending):
        create(m, at_s, fleet, False)
    keep = max(f.pending - max(f.ready + f.pending - replicas, 0), 0)
    for place in range(keep, f.pending):
        remove(m, at_s, m.pending[fleet, place])
    f.pending = keep
    while f.ready > replicas:
        least = f.ready - 1
        for place in range(f.ready - 2, -1, -1):
            if held(m.replicas[m.ready[fleet, place]]) < held(m.replicas[m.ready[fleet, least]]):
                least = place
        drain(m, at_s, m.ready[fleet, least])
    note(m, at_s, fleet)


@compiled
def begin(m: Memory, fleet: int, replicas: int) -> None:
    """Have replicas that are ready from the start."""
    for _ in range(replicas):
        create(m, 0.0, fleet, True)
    note(m, 0.0, fleet)


@compiled
def waiting(m: Memory, fleet: int) -> tuple[int, int]:
    """Count the requests of a fleet that wait, and those that are served."""
    f = m.fleets[fleet]
    queued, running = 0, 0
    for place in range(f.ready + f.leaving):
        group, index = m.ready, place
        if place >= f.ready:
            group, index = m.leaving, place - f.ready
        r = m.replicas[group[fleet, index]]
        queued += r.waiting
        running += r.batch + r.serving
    return f.waiting + queued, running


# ---- what happens


@compiled
def freed(m: Memory, at_s: float, replica: int) -> None:
    """Give room that has become free to whoever waits for it."""
    r = m.replicas[replica]
    if r.waiting > 0 or m.fleets[r.fleet].kind == PREFILL:
        offer(m, at_s, replica)
    else:
        plan(m, replica, at_s)
    room = m.fleets[r.fleet].kind != PREFILL or r.serving < m.world[0].ranks
    if room and m.fleets[r.fleet].waiting > 0 and not r.draining:
        serve_line(m, at_s, r.fleet)
    settle(m, at_s, replica)


@compiled
def prompted(m: Memory, at_s: float, replica: int, request: int) -> None:
    """A prompt is computed, unless its replica died meanwhile."""
    w, r = m.world[0], m.replicas[replica]
    if not served(m, r, request):
        return
    if m.fleets[r.fleet].kind == WORKER:
        r.since_s = at_s  # no step was done meanwhile
        admit(m, at_s, r, request)
        freed(m, at_s, replica)
        return
    freed(m, at_s, replica)
    if w.decode < 0:
        first_token(m, at_s, request)
        finish(m, at_s, request)
        return
    transfer_ms = w.transfer_fixed_ms + w.transfer_ms_per_token * m.requests[request - w.base].isl
    if transfer_ms > 0:
        add(m, at_s + transfer_ms / 1000.0, SUBMIT, w.decode, request)
    else:
        submit(m, at_s, w.decode, request)


@compiled
def left(m: Memory, at_s: float, replica: int) -> None:
    """A request is done, unless the batch has changed since this was foreseen."""
    r = m.replicas[replica]
    if at_s == r.due_s:
        finish(m, at_s, leave(m, r))
        freed(m, at_s, replica)


@compiled
def started(m: Memory, at_s: float, replica: int) -> None:
    """A replica is ready, unless it was taken away meanwhile."""
    r = m.replicas[replica]
    if r.gone_s < math.inf:
        return
    f = m.fleets[r.fleet]
    f.pending = without(m.pending[r.fleet], f.pending, replica)
    m.ready[r.fleet, f.ready] = replica
    f.ready += 1
    note(m, at_s, r.fleet)
    serve_line(m, at_s, r.fleet)


@compiled
def killed(m: Memory, at_s: float, replica: int) -> None:
    """A replica that drains has had its time."""
    r = m.replicas[replica]
    if r.gone_s == math.inf:
        f = m.fleets[r.fleet]
        f.leaving = without(m.leaving[r.fleet], f.leaving, replica)
        remove(m, at_s, replica)
        note(m, at_s, r.fleet)


@compiled
def fail(m: Memory, at_s: float, fleet: int) -> None:
    """One ready replica dies with what it holds, and another is created in its place."""
    f = m.fleets[fleet]
    if f.ready == 0:
        return
    replica = m.ready[fleet, drawn(m, f.ready)]
    f.ready = without(m.ready[fleet], f.ready, replica)
    remove(m, at_s, replica)
    create(m, at_s, fleet, False)
    note(m, at_s, fleet)


@compiled
def happen(m: Memory) -> None:
    """Do what is first on the agenda."""
    pop(m)
    e = m.event[0]
    at_s, kind, subject, argument = e.at_s, e.kind, e.subject, e.argument
    if kind == LEAVE:
        left(m, at_s, subject)
    elif kind == PROMPT:
        prompted(m, at_s, subject, argument)
    elif kind == SUBMIT:
        submit(m, at_s, subject, argument)
    elif kind == STARTED:
        started(m, at_s, subject)
    elif kind == KILLED:
        killed(m, at_s, subject)
    else:
        fail(m, at_s, subject)


@compiled
def short(m: Memory) -> int:
    """Say what is missing for one more event, whatever it may be; ``DONE`` is nothing."""
    w = m.world[0]
    lines = 1
    for fleet in range(len(m.fleets)):
        lines += m.fleets[fleet].waiting
    if w.events + lines + w.ranks + SPARE > len(m.events) or w.notes + SPARE > len(m.notes):
        return FULL
    if w.replicas >= len(m.replicas) or w.free_rows < 1:  # for one that replaces a failed one
        return FULL
    if w.drawn + lines + SPARE > len(m.chances):
        return CHANCES
    if w.stepping and min(w.largest + lines, w.max_batch) >= len(m.steps_s):
        return ROWS
    return DONE


@compiled
def run(m: Memory, until_s: float) -> int:
    """Go on until this time; return why it stopped.

    What happens at ``until_s`` is done, what arrives then is not.
    """
    w = m.world[0]
    while True:
        missing = short(m)
        if missing != DONE:
            return missing
        arrival_s = math.inf
        if w.started < w.known:
            arrival_s = m.requests[w.started - w.base].arrival_s
        elif not w.closed:
            return MORE
        if w.events > 0 and m.events[0].at_s <= min(arrival_s, until_s):
            happen(m)
        elif arrival_s < until_s:
            w.started += 1
            w.in_flight += 1
            submit(m, arrival_s, 0, w.started - 1)
        else:
            return DONE
