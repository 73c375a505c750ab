"""What ``kubectl get slap`` shows, and when a status has something new to say."""

from support.planner_world import World


async def test_the_summary_is_ready_over_needed_and_the_worse_attainment() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    await world.passes(4)
    told = world.status()["summary"]
    assert told["prefill"].endswith("/3")
    assert told["decode"].endswith("/2")
    shares = world.status()["attainment"]
    assert told["attained"] == f"{100 * min(shares['ttft'], shares['itl']):.1f}%"


async def test_a_need_that_changes_is_written_though_nothing_else_does() -> None:
    world = World()
    world.metrics.rate_per_s = 90.0
    await world.passes()
    before = world.status()["summary"]["prefill"]
    world.metrics.rate_per_s = 120.0
    await world.passes(6)
    after = world.status()["summary"]["prefill"]
    assert int(after.split("/")[1]) > int(before.split("/")[1]) > 8


async def test_what_was_just_given_up_is_not_said_to_be_too_much() -> None:
    world = World()
    seen = []
    for rate in [9.4] * 12 + [2.0] * 40:
        world.metrics.rate_per_s = rate
        await world.passes()
        seen += world.status()["roles"]
    assert any("belowSince" in role for role in seen)
    for role in seen:
        if "belowSince" in role:
            assert role["desiredReplicas"] < role["replicas"]
