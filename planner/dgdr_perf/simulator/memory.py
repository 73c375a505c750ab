"""What the compiled simulator remembers: arrays of records, grown between its calls."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgdr_perf.simulator.arrivals import Requests
from dgdr_perf.simulator.engine import NODES, Engine

F8, I8 = np.float64, np.int64


def record(counts: str, numbers: str = "") -> np.dtype[Any]:
    """Return the type of a record of integers and of floating point numbers."""
    fields = [(name, I8) for name in counts.split()] + [(name, F8) for name in numbers.split()]
    return np.dtype(fields)


# A queue: its ends by number of the request, and how many wait in it.
QUEUE = "first last waiting"
# One request that has not been handed back yet. ``after`` is the next one of its queue; ``settled``
# says that it has finished or failed.
REQUEST = record("after settled", "arrival_s isl osl prompt_s first_token_s finish_s")
# ``row`` is its place in ``members``, ``leaving_at`` and ``prompts``, which others have after it.
REPLICA = record(
    f"{QUEUE} fleet row batch serving draining",
    "created_s gone_s due_s steps since_s step_s growth_s kv_tokens reserved",
)
FLEET = record(f"{QUEUE} kind dispatch turn ready pending leaving")
EVENT = record("added kind subject argument", "at_s")
NOTE = record("fleet ready pending leaving", "at_s")
# ``base``: number of the first request in memory; ``known`` of the first one that is not;
# ``closed``: there are no more. ``drawn``: random numbers used. ``largest``: most requests that an
# engine with a batch has held. ``stepping``: some have a batch. ``decode``: that fleet, or -1.
WORLD = record(
    "base known closed started in_flight first_tokens done failed notes replicas events added"
    " free_rows largest drawn decode stepping nodes ranks max_batch",
    "max_kv_tokens start_up_s drain_s transfer_fixed_ms transfer_ms_per_token",
)

Rows = NDArray[Any]
FIRST_EVENTS, FIRST_NOTES, FIRST_REPLICAS = 256, 256, 8
# Random numbers that are drawn at a time.
CHANCES = 4096


class Memory(NamedTuple):
    """Arrays that the compiled functions write to; ``world``, ``event``: one record each.

    ``ready``, ``pending`` and ``leaving`` have shape (fleets, replicas); ``members`` and
    ``leaving_at`` are a heap of each batch, (rows, batch); ``prompts`` (rows, ranks). The logs
    hold what happened since the last tick, by number of the request, in order.
    """

    world: Rows
    fleets: Rows
    requests: Rows
    replicas: Rows
    ready: Rows
    pending: Rows
    leaving: Rows
    members: Rows
    leaving_at: Rows
    prompts: Rows
    free_rows: Rows
    events: Rows
    event: Rows
    notes: Rows
    chances: Rows
    first_token_log: Rows
    done_log: Rows
    failed_log: Rows
    steps_s: Rows

    @classmethod
    def of(cls, engine: Engine, fleets: int) -> "Memory":
        """Return the memory of a world in which nothing has happened."""
        world = np.zeros(1, WORLD)
        world["nodes"], world["ranks"] = NODES, engine.ranks
        world["max_batch"], world["max_kv_tokens"] = engine.max_batch, engine.max_kv_tokens
        world["free_rows"] = FIRST_REPLICAS
        group = np.zeros((fleets, FIRST_REPLICAS), I8)
        nothing = np.zeros(0, I8)
        return cls(
            world=world,
            fleets=np.zeros(fleets, FLEET),
            requests=np.zeros(0, REQUEST),
            replicas=np.zeros(FIRST_REPLICAS, REPLICA),
            ready=group,
            pending=group.copy(),
            leaving=group.copy(),
            members=np.empty((FIRST_REPLICAS, engine.max_batch), I8),
            leaving_at=np.empty((FIRST_REPLICAS, engine.max_batch), F8),
            prompts=np.empty((FIRST_REPLICAS, engine.ranks), I8),
            free_rows=np.arange(FIRST_REPLICAS)[::-1].astype(I8),
            events=np.zeros(FIRST_EVENTS, EVENT),
            event=np.zeros(1, EVENT),
            notes=np.zeros(FIRST_NOTES, NOTE),
            chances=np.zeros(0),
            first_token_log=nothing,
            done_log=nothing,
            failed_log=nothing,
            steps_s=engine.steps_s(1),
        )

    def with_events(self, more: int) -> "Memory":
        """Return memory with room for so many more events."""
        needed = int(self.world[0]["events"]) + more
        return self._replace(events=_grown(self.events, needed))

    def with_chances(self, rng: np.random.Generator, more: int) -> "Memory":
        """Return memory with room for so many more random choices; those left are used first."""
        left = self.chances[self.world[0]["drawn"] :]
        self.world[0]["drawn"] = 0
        return self._replace(chances=np.concatenate([left, rng.random(max(more, CHANCES))]))

    def with_replicas(self, more: int) -> "Memory":
        """Return memory with room for so many more replicas, and for what they add as events."""
        replicas = _grown(self.replicas, int(self.world[0]["replicas"]) + more)
        rows = len(self.free_rows)
        alive = rows - int(self.world[0]["free_rows"])
        found = self._replace(replicas=replicas).with_events(more)
        return found if alive + more <= rows else found._with_rows(max(2 * rows, alive + more))

    def _with_rows(self, rows: int) -> "Memory":
        before, free = len(self.free_rows), int(self.world[0]["free_rows"])
        free_rows = np.zeros(rows, I8)
        free_rows[:free] = self.free_rows[:free]
        free_rows[free : free + rows - before] = np.arange(before, rows)
        self.world[0]["free_rows"] = free + rows - before
        groups = (self.ready, self.pending, self.leaving)
        ready, pending, leaving = (_resized(group.T, rows).T.copy() for group in groups)
        return self._replace(
            free_rows=free_rows,
            ready=ready,
            pending=pending,
            leaving=leaving,
            members=_resized(self.members, rows),
            leaving_at=_resized(self.leaving_at, rows),
            prompts=_resized(self.prompts, rows),
        )

    def with_requests(self, requests: Requests, prompts_s: Rows, settled: int) -> "Memory":
        """Return memory without its first ``settled`` requests, and with more of them."""
        world = self.world[0]
        kept = int(world["known"] - world["base"]) - settled
        rows = np.zeros(kept + len(requests), REQUEST)
        rows[:kept] = self.requests[settled : settled + kept]
        for name in ("arrival_s", "isl", "osl"):
            rows[name][kept:] = getattr(requests, name)
        rows["prompt_s"][kept:] = prompts_s
        rows["first_token_s"][kept:] = rows["finish_s"][kept:] = np.nan
        world["base"] += settled
        world["known"] += len(requests)
        # Each request in memory can still be written once into each log.
        size = len(rows) + int(max(world["first_tokens"], world["done"], world["failed"]))
        logs = ("first_token_log", "done_log", "failed_log")
        return self._replace(
            requests=rows, **{name: _grown(getattr(self, name), size) for name in logs}
        )


def _grown(array: Rows, rows: int) -> Rows:
    """Return an array with at least so many rows; at least twice as many when it must grow."""
    return array if rows <= len(array) else _resized(array, max(rows, 2 * len(array)))


def _resized(array: Rows, rows: int) -> Rows:
    found = np.zeros((rows, *array.shape[1:]), array.dtype)
    kept = min(rows, len(array))
    found[:kept] = array[:kept]
    return found
