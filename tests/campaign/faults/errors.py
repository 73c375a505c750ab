"""A: the API server answers a call, or each call for a minute, with an error."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from campaign.calls import Call, Client
from campaign.oracle import Allowance
from campaign.points import Point
from campaign.scenarios import Scenario
from dgdr_kube.answers import error_of
from dgdr_kube.errors import ClusterError, Unreachable
from dgdr_kube.kinds import EVENT, LEASE

T = TypeVar("T")
Answer = Callable[[Call], ClusterError]
OUTAGE_S = 60.0


def answered(status: int, retry_after: str | None = None) -> Answer:
    """Return what our client makes of a status; nothing of the call was done."""

    def error(call: Call) -> ClusterError:
        return error_of(status, str(call), {"message": f"{call}: fault {status}"}, retry_after)

    return error


def unanswered(how: str) -> Answer:
    return lambda call: Unreachable(f"{call}: {how}")


ANSWERS: Mapping[str, Answer] = {
    "429 with Retry-After": answered(429, "5"),
    "500": answered(500),
    "503": answered(503),
    "a reset": unanswered("connection reset by peer"),
    "a time-out": unanswered("TimeoutError"),
    "401": answered(401),
    "403": answered(403),
    "409": answered(409),
    "410": answered(410),
}
OUTAGES = ("503", "403", "429 with Retry-After")


@dataclass
class AtCall:
    """Implements ``calls.Fault``: answers the call of that number so; with ``lasts_s`` all of its
    process that come in that time.
    """

    number: int
    answer: Answer
    lasts_s: float = 0.0
    _until: float | None = None

    async def around(self, call: Call, client: Client, send: Callable[[], Awaitable[T]]) -> T:
        now_s = client.line.time_s()
        if call.number == self.number:
            self._until = now_s + self.lasts_s
            raise self.answer(call)
        if self._until is not None and now_s < self._until and call.kind != LEASE:
            raise self.answer(call)
        return await send()


def points(scenario: Scenario, calls: Sequence[Call]) -> list[Point]:
    """Return each answer to each call, and outages that begin at each."""
    asked = [call for call in calls if call.kind != LEASE]
    return [
        *(
            _point(scenario, call, name, f"{name} to call {call.number}, {call}")
            for call in asked
            for name in ANSWERS
            if name != "409" or call.is_write
        ),
        *(
            _point(
                scenario,
                call,
                name,
                f"{name} for {OUTAGE_S:.0f} s from call {call.number}, {call}",
                OUTAGE_S,
            )
            for call in asked[::3]
            for name in OUTAGES
        ),
    ]


def _point(scenario: Scenario, call: Call, answer: str, what: str, lasts_s: float = 0.0) -> Point:
    return Point(
        class_="A",
        scenario=scenario,
        what=what,
        fault=partial(AtCall, call.number, ANSWERS[answer], lasts_s),
        # An Event is shown if it can be: nobody waits for it.
        allowed=Allowance(events=call.kind == EVENT or lasts_s > 0),
    )
