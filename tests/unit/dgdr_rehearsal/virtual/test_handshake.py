"""Nothing new is published before the last decision was carried out."""

import pytest

from dgdr_api.graph import Role
from dgdr_rehearsal.virtual.handshake import TIMEOUT_S, BadAck, Handshake
from dgdr_rehearsal.virtual.reply import Reply


def answer(decision_id: int, prefill: int | None, decode: int | None) -> Reply:
    replicas = {Role.PREFILL: prefill, Role.DECODE: decode}
    return Reply(replicas=replicas, reason="", decision_id=decision_id)


def shown(handshake: Handshake) -> tuple[int, int, int]:
    told = handshake.to_object()
    return told["num_prefill_workers"], told["num_decode_workers"], told["decision_id"]


def test_before_the_first_answer_nothing_is_published() -> None:
    assert shown(Handshake()) == (-1, -1, -1)


def test_a_second_decision_waits_for_the_acknowledgement_of_the_first() -> None:
    first = Handshake().answered(answer(1, 2, 3), 0.0)
    second = first.answered(answer(2, 4, 3), 60.0)
    assert shown(second) == (2, 3, 1)
    assert shown(second.acknowledged(1, 70.0)) == (4, 3, 2)


def test_what_waits_is_the_newest_answer() -> None:
    waiting = Handshake().answered(answer(1, 2, 3), 0.0).answered(answer(2, 9, 9), 60.0)
    newest = waiting.answered(answer(3, 2, 3), 120.0)
    assert shown(newest.acknowledged(1, 130.0)) == (2, 3, 1)


def test_an_answer_with_the_same_numbers_is_no_new_decision() -> None:
    acknowledged = Handshake().answered(answer(1, 2, 3), 0.0).acknowledged(1, 1.0)
    assert shown(acknowledged.answered(answer(2, 2, 3), 60.0)) == (2, 3, 1)
    assert shown(acknowledged.answered(answer(3, 2, 4), 60.0)) == (2, 4, 3)


@pytest.mark.parametrize(("later_s", "decision"), [(TIMEOUT_S - 1, 1), (TIMEOUT_S, 2)])
def test_nobody_is_waited_for_without_end(later_s: float, decision: int) -> None:
    waiting = Handshake().answered(answer(1, 2, 3), 0.0).answered(answer(2, 4, 3), 60.0)
    assert shown(waiting.settled(later_s))[2] == decision


def test_numbers_that_nobody_knows_are_not_published() -> None:
    assert shown(Handshake().answered(answer(1, None, 3), 0.0)) == (-1, -1, -1)


@pytest.mark.parametrize("scaled", [-1, 2, 99])
def test_only_what_was_published_is_acknowledged(scaled: int) -> None:
    with pytest.raises(BadAck, match=f"scaled_decision_id is {scaled}, .* decision is 1"):
        Handshake().answered(answer(1, 2, 3), 0.0).acknowledged(scaled, 1.0)


def test_an_older_acknowledgement_takes_nothing_back() -> None:
    first = Handshake().answered(answer(1, 2, 3), 0.0).acknowledged(1, 1.0)
    second = first.answered(answer(2, 4, 3), 60.0).acknowledged(2, 70.0)
    assert second.acknowledged(1, 80.0).scaled_decision_id == 2


def test_aggregated_workers_are_decode_workers_to_upstream() -> None:
    told = Reply(replicas={Role.WORKER: 5}, reason="", decision_id=1)
    assert shown(Handshake().answered(told, 0.0)) == (-1, 5, 1)
