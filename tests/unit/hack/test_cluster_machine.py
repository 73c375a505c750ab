"""Numbers and the host's settings, on a machine that is a temporary folder."""

import itertools
from pathlib import Path

import pytest

from hack.cluster.errors import ClusterError
from hack.cluster.machine import SYSCTLS, Machine, candidates
from hack.cluster.node import overlapping_numbers

NOTHING: frozenset[int] = frozenset()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    sysctls = tmp_path / "sys"
    for key in (*SYSCTLS, "kernel/random/boot_id"):
        (sysctls / key).parent.mkdir(parents=True, exist_ok=True)
        (sysctls / key).write_text("0\n")
    (tmp_path / "there").mkdir()
    return Machine(
        records=tmp_path / "records",
        sysctls=sysctls,
        mount_points=(tmp_path / "there", tmp_path / "absent"),
    )


def first(wanted: int | None, previous: int | None) -> list[int]:
    return list(itertools.islice(candidates(wanted, previous), 3))


def test_the_number_asked_for_is_the_only_one_tried() -> None:
    assert first(7, 3) == [7]


def test_the_previous_number_comes_first_and_only_once() -> None:
    assert first(None, 2) == [2, 1, 3]


def test_without_a_wish_the_lowest_comes_first() -> None:
    assert first(None, None) == [1, 2, 3]


@pytest.mark.parametrize("number", [0, 251])
def test_a_number_that_is_no_address_is_refused(number: int) -> None:
    with pytest.raises(ClusterError, match=f"--number {number}: use 1 to 250"):
        first(number, None)


def test_a_leased_number_is_passed_over_until_its_holder_lets_go(machine: Machine) -> None:
    number, lock = machine.lease_number(candidates(None, None), NOTHING)
    with lock:
        other, other_lock = machine.lease_number(candidates(None, None), NOTHING)
        other_lock.close()
        assert (number, other) == (1, 2)
        assert machine.number_in_use(1)
    assert not machine.number_in_use(1)


def test_a_taken_number_that_was_asked_for_is_an_error(machine: Machine) -> None:
    _, lock = machine.lease_number([5], NOTHING)
    with lock, pytest.raises(ClusterError, match="number 5 is in use"):
        machine.lease_number([5], NOTHING)


def test_a_number_whose_addresses_are_routed_is_passed_over(machine: Machine) -> None:
    number, lock = machine.lease_number(candidates(None, None), frozenset({1, 2}))
    lock.close()
    assert number == 3


def test_routes_occupy_the_numbers_they_overlap() -> None:
    routes = ["default", "10.200.4.0/30", "10.202.6.0/23", "192.168.0.0/16"]
    assert overlapping_numbers(routes) == {4, 6, 7}


def test_the_last_cluster_puts_back_what_the_first_one_found(machine: Machine) -> None:
    _, first_lock = machine.lease_number(candidates(None, None), NOTHING)
    machine.record_once()
    panic = machine.sysctls / "kernel/panic"
    panic.write_text("10")
    _, second_lock = machine.lease_number(candidates(None, None), NOTHING)
    machine.record_once()

    first_lock.close()
    machine.restore_after_last()
    assert panic.read_text() == "10"

    second_lock.close()
    machine.restore_after_last()
    assert panic.read_text() == "0"


def test_only_folders_that_were_absent_and_are_empty_are_removed(machine: Machine) -> None:
    there, absent = machine.mount_points
    machine.record_once()
    absent.mkdir()
    machine.restore_after_last()
    assert there.is_dir()
    assert not absent.exists()


def test_a_record_of_an_earlier_boot_is_not_restored(machine: Machine) -> None:
    machine.record_once()
    (machine.sysctls / "kernel/random/boot_id").write_text("1\n")
    (machine.sysctls / "kernel/panic").write_text("5")
    machine.restore_after_last()
    assert (machine.sysctls / "kernel/panic").read_text() == "5"
