"""What the command line says of real statuses agrees with their conditions."""

from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_cli.planner.outlook import outlook
from support.planner_world import World
from support.planning import sla_planner


async def test_no_answer_contradicts_a_condition() -> None:
    world = World()
    shorts = 0
    for rate in [9.4, 90.0, 90.0, None, None, 9.4, 2.0, 2.0, 0.0, 0.0]:
        world.metrics.rate_per_s = rate
        await world.passes()
        planner = SLAPlanner.parse({**sla_planner(), "status": world.status()})
        ahead = outlook(planner, world.clock())
        ready, limited = world.condition("Ready"), world.condition("ScalingLimited")
        assert (ahead.held is None) == (ready[0] == "True")
        told = {one.no_more for one in ahead.roles}
        if ahead.held is None and limited[0] == "True":
            shorts += 1
            assert set(limited[2].split("; ")) <= told
        else:
            assert not any("needs" in text for text in told)
        if ahead.held is not None:
            assert not ahead.roles
    assert shorts
