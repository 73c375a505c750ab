"""What to send: one dataset, and phases of load over it.

AIPerf costs about ten seconds of start-up a call, so one call runs several phases after another
over the same prompts. The order carries meaning: prompts are taken in turn, so the first phases
meet prompts that no cache has seen, and later ones meet them again.
"""

from dataclasses import dataclass


class InvalidLoad(ValueError):
    """A load that cannot be driven; the message names the field and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPhase:
    """A stretch of load: so many requests in flight, or so many a second.

    Exactly one of ``concurrency`` and ``request_rate_per_s`` shapes it, exactly one of
    ``requests`` and ``duration_s`` ends it.
    """

    name: str
    concurrency: int | None = None
    request_rate_per_s: float | None = None
    requests: int | None = None
    duration_s: float | None = None
    warmup: bool = False

    def __post_init__(self) -> None:
        _exactly_one(self.name, concurrency=self.concurrency, request_rate=self.request_rate_per_s)
        _exactly_one(self.name, requests=self.requests, duration=self.duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSpec:
    """One AIPerf call.

    ``tokenizer`` is a folder or a hub name; it makes the prompts only, tokens are counted by the
    server. ``seed`` decides the prompts: the same seed twice against the same engine meets its
    prefix cache.
    """

    url: str
    model: str
    tokenizer: str
    isl: int
    osl: int
    phases: tuple[LoadPhase, ...]
    dataset_entries: int
    seed: int
    request_timeout_s: float = 60.0
    grace_s: float = 30.0
    """How long requests in flight at the end of a timed phase may take to finish."""

    def __post_init__(self) -> None:
        if not self.phases:
            raise InvalidLoad("phases is empty; give at least one")
        if len({p.name for p in self.phases}) != len(self.phases):
            raise InvalidLoad("phases must have different names; results are found by them")
        for name, value in (("isl", self.isl), ("osl", self.osl)):
            if value < 1:
                raise InvalidLoad(f"{name} is {value}; it counts tokens and must be at least 1")

    def phase(self, name: str) -> LoadPhase:
        """Return the phase of that name."""
        return next(p for p in self.phases if p.name == name)


def _exactly_one(phase: str, **choices: float | None) -> None:
    """Reject a phase that sets none or several of ``choices``, or one that is not positive."""
    given = {name: value for name, value in choices.items() if value is not None}
    if len(given) != 1:
        raise InvalidLoad(f"phase {phase}: set exactly one of {' and '.join(choices)}")
    for name, value in given.items():
        if value <= 0:
            raise InvalidLoad(f"phase {phase}: {name} is {value}; it must be above 0")
