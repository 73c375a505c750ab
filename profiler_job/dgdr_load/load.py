"""What to send: one dataset, and phases of load over it.

AIPerf costs about ten seconds of start-up a call, so one call runs several phases after another.
Prompts are taken in turn, so whoever gives them decides which phase meets which prompt, and which
of them a cache has seen before.
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
class SyntheticPrompts:
    """Prompts that AIPerf makes: ``entries`` different ones, of equal length."""

    isl: int
    osl: int
    entries: int

    def __post_init__(self) -> None:
        for name, value in (("isl", self.isl), ("osl", self.osl), ("entries", self.entries)):
            if value < 1:
                raise InvalidLoad(f"{name} is {value}; it must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A given prompt, and how many tokens its answer has."""

    text: str
    osl: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSpec:
    """One AIPerf call.

    ``tokenizer`` is a folder or a hub name. It makes synthetic prompts; given prompts do not use
    it, but AIPerf loads one anyway. Tokens are counted by the server. ``seed`` decides synthetic
    prompts: the same seed twice against the same engine meets its prefix cache.
    """

    url: str
    model: str
    tokenizer: str
    prompts: SyntheticPrompts | tuple[Prompt, ...]
    phases: tuple[LoadPhase, ...]
    seed: int
    request_timeout_s: float = 60.0
    """After which a request counts as failed. Whoever knows how long prompts take says so."""
    grace_s: float = 30.0
    """How long requests in flight at the end of a timed phase may take to finish."""
    reuse_connections: bool = True
    """Clients do. But Dynamo's frontend leaves Nagle's algorithm on, so that on a reused connection
    the first token of every other answer waits 40 ms for a delayed acknowledgement."""

    def __post_init__(self) -> None:
        if not self.phases:
            raise InvalidLoad("phases is empty; give at least one")
        if len({p.name for p in self.phases}) != len(self.phases):
            raise InvalidLoad("phases must have different names; results are found by them")
        if not self.prompts:
            raise InvalidLoad("prompts is empty; give at least one")


def _exactly_one(phase: str, **choices: float | None) -> None:
    """Reject a phase that sets none or several of ``choices``, or one that is not positive."""
    given = {name: value for name, value in choices.items() if value is not None}
    if len(given) != 1:
        raise InvalidLoad(f"phase {phase}: set exactly one of {' and '.join(choices)}")
    for name, value in given.items():
        if value <= 0:
            raise InvalidLoad(f"phase {phase}: {name} is {value}; it must be above 0")
