"""What is read of a cluster's definitions, and how often."""

from dgdr_kube.kinds import DGD, NODE
from dgdr_operator.followed import COLLECTIONS
from dgdr_operator.passes.data_plane_observer import GOOD_FOR_S, DataPlaneObserver
from support.counting_cluster import CountingCluster
from support.crds import installed
from support.dgdr_world import node


class Looking:
    def __init__(self) -> None:
        self.now_s = 1000.0
        self.cluster = CountingCluster()
        self.observer = DataPlaneObserver(self.cluster, clock=lambda: self.now_s)

    async def missing(self) -> tuple[int, int]:
        """Return how many definitions are missing, and how many reads it took to say so."""
        self.cluster.reads = 0
        facts = await self.observer.facts((DGD,), None)
        return len(facts.crds_missing), self.cluster.reads


async def test_a_definition_that_is_as_it_should_be_is_read_now_and_then() -> None:
    look = Looking()
    look.cluster.seed(*installed())
    assert await look.missing() == (0, 1)
    assert await look.missing() == (0, 0)
    look.now_s += GOOD_FOR_S
    assert await look.missing() == (0, 1)


async def test_one_that_is_missing_is_looked_for_each_time() -> None:
    look = Looking()
    assert await look.missing() == (1, 1)
    assert await look.missing() == (1, 1)
    look.cluster.seed(*installed())
    assert await look.missing() == (0, 1)


async def test_nodes_without_gpus_are_not_looked_at() -> None:
    look = Looking()
    look.cluster.seed(node(), {**node(), "metadata": {"name": "cpu"}, "status": {}})
    found = await look.observer.nodes()
    assert found is not None
    assert [one.name for one in found] == [node()["metadata"]["name"]]


def test_nodes_are_kept_as_they_are_read() -> None:
    (nodes,) = (wanted for wanted in COLLECTIONS if wanted.kind == NODE)
    assert not nodes.packed
