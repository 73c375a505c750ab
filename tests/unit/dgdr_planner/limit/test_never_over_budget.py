import random

from support.budget_world import Tally, World, own_budget

DECISIONS = 100_000
PER_WORLD = 250
# Worlds in which numbers of somebody who is struck have no pods yet.
PODS_LATE = (1_000_107, 1_000_572)


def test_whatever_comes_the_budget_and_the_guarantees_hold() -> None:
    tally, seed = Tally(), 0
    while tally.decisions < DECISIONS:
        dice = random.Random(seed)
        shared = World.of(dice).run(PER_WORLD) if seed % 5 else own_budget(dice, PER_WORLD)
        tally.add(shared)
        seed += 1
    assert (tally.over_budget, tally.below_guarantee, tally.below_fewest) == (0, 0, 0)
    assert tally.starved == 0
    # It would prove nothing if nobody was ever killed, raced, given a GPU, or struck.
    assert min(tally.kills, tally.conflicts, tally.grown) > 1500
    assert tally.struck > 500


def test_planners_that_forget_pods_that_stop_are_caught() -> None:
    tally = Tally()
    for seed in range(20):
        world = World.of(random.Random(seed))
        for planner in world.planners:
            planner.careless = True
        tally.add(world.run(PER_WORLD))
    assert tally.over_budget > 0


def test_pods_alone_do_not_tell_what_a_planner_that_is_gone_holds() -> None:
    tally = Tally()
    for seed in PODS_LATE:
        world = World.of(random.Random(seed))
        world.pods_alone = True
        tally.add(world.run(PER_WORLD))
    assert tally.over_budget > 0
    assert tally.below_guarantee > 0


def test_a_member_that_nobody_has_heard_of_starves_the_others() -> None:
    tally = Tally()
    for seed in range(20):
        world = World.of(random.Random(seed))
        world.mute = True
        tally.add(world.run(PER_WORLD))
    assert tally.starved > 0
