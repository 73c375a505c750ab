"""Up, down and status of a native cluster."""

from __future__ import annotations

import shutil
import signal
import time
from typing import TYPE_CHECKING

from hack.cluster import boot, components, host, load, machine, marker, node, packages, paths, tools
from hack.cluster.api import Api
from hack.cluster.errors import ClusterError
from hack.cluster.model import Cluster, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hack.cluster.marker import Marker

KEEPER_PATIENCE_S = 15.0


def up(name: str, tier: Tier, number: int | None, owner: int | None = None) -> dict[str, float]:
    """Boot the cluster unless it runs already; the seconds of each stage, none when it was kept.

    The cluster ends with the process ``owner``, when there is one, and then leaves no folder.
    """
    packages.ensure_for(tier)
    home = paths.home_of(name)
    found = marker.read(home)
    if found is not None:
        if why_unhealthy(found) is None:
            _refuse_other(found, tier, number)
            return {}
        down(name)
    binaries = tools.ensure(tools.FULL if tier is Tier.FULL else tools.LIGHT)
    remove_home(home)
    numbers = machine.candidates(number, found.number if found else None)
    chosen, lock = machine.THIS.lease_number(numbers, node.occupied_numbers())
    with lock:
        cluster = Cluster(name=name, tier=tier, number=chosen, home=home)
        try:
            return boot.boot(cluster, binaries, lock, owner)
        except ClusterError:
            remove_home(home)
            raise


def _refuse_other(found: Marker, tier: Tier, number: int | None) -> None:
    """A running cluster is kept, so it has to be what was asked for."""
    down_first = f"take it down first (down --name {found.name}) or use another --name"
    if tier is not found.tier:
        raise ClusterError(f"cluster {found.name} runs with tier {found.tier}: {down_first}")
    if number is not None and number != found.number:
        raise ClusterError(f"cluster {found.name} runs with number {found.number}: {down_first}")


def why_unhealthy(found: Marker) -> str | None:
    """Name what is dead; None when every part runs and the API server is ready."""
    if found.keeper is None or not found.keeper.is_alive:
        return "its keeper has gone"
    if found.init is None or not found.init.is_alive:
        return "its node has gone"
    dead = components.expected_programs(found.tier) - node.running_programs(found.init.pid)
    if dead:
        return f"{', '.join(sorted(dead))} ended"
    cluster = cluster_of(found)
    try:
        return (
            None if Api(cluster.server, cluster.pki).is_ready() else "its API server is not ready"
        )
    except OSError as error:
        return f"its certificates cannot be read: {error}"


def cluster_of(found: Marker) -> Cluster:
    home = paths.home_of(found.name)
    return Cluster(name=found.name, tier=found.tier, number=found.number, home=home)


def running(name: str) -> Marker:
    """The marker of a cluster that has to be there."""
    found = marker.read(paths.home_of(name))
    if found is None:
        raise ClusterError(f"there is no cluster {name}: python3 -m hack.cluster up --name {name}")
    return found


def load_archives(found: Marker, archives: Iterable[Path]) -> dict[str, str]:
    """Import OCI archives; by reference, what was done."""
    if found.tier is not Tier.FULL or found.init is None:
        raise ClusterError(f"cluster {found.name} has tier light: only tier full runs images")
    return load.load(found.init.pid, archives)


def down(name: str) -> bool:
    """End the cluster and remove what it left; False when there was none."""
    home = paths.home_of(name)
    found = marker.read(home)
    if found is not None and found.keeper is not None:
        found.keeper.signal(signal.SIGTERM)
        if not found.keeper.wait_gone(KEEPER_PATIENCE_S):
            found.keeper.signal(signal.SIGKILL)
            found.keeper.wait_gone(KEEPER_PATIENCE_S)
        _clean_after_killed_keeper(cluster_of(found))
    existed = home.exists()
    remove_home(home)
    return existed


def _clean_after_killed_keeper(cluster: Cluster) -> None:
    """Do what the keeper does at its end, unless the number is someone else's by now."""
    if not machine.THIS.number_in_use(cluster.number):
        host.remove_link(cluster.link)
        left = host.remove_cgroups(cluster.cgroup)
        if left:
            raise ClusterError(f"cgroups that cannot be removed: {', '.join(map(str, left))}")
    machine.THIS.restore_after_last()


def remove_home(home: Path) -> None:
    """Remove the state folder, whose last writers may be dying at this moment."""
    for _ in range(20):
        shutil.rmtree(home, ignore_errors=True)
        if not home.exists():
            return
        time.sleep(0.1)
    shutil.rmtree(home)
