"""``python -m dgdr_webhooks.farewell``: before the webhooks go, the kinds do without them."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from dgdr_kube.client import KubeCluster
from dgdr_kube.errors import ClusterError
from dgdr_kube.kinds import CRD
from dgdr_kube.ports import Cluster
from dgdr_webhooks.adapters.authority import CONVERTED, MANAGER
from dgdr_webhooks.core.farewell import StillStored, farewell
from dgdr_webhooks.core.trust import Place
from dgdr_webhooks.settings import Settings, SettingsError, Webhooks, load


async def leave(cluster: Cluster, own: Webhooks) -> list[str]:
    """Take our webhook out of each CRD that has it; returns what stands against it.

    None is changed where one cannot be.
    """
    place = Place(namespace=own.namespace, service=own.service, hosts=own.hosts)
    crds = [crd for name in CONVERTED if (crd := await cluster.get(CRD, None, name))]
    problems, patches = [], []
    for crd in crds:
        try:
            patches.append((crd["metadata"], farewell(crd, place)))
        except StillStored as exc:
            problems.append(str(exc))
    if problems:
        return problems
    for metadata, patch in patches:
        if patch is not None:
            version = metadata["resourceVersion"]
            await cluster.patch(CRD, None, metadata["name"], patch, MANAGER, version)
    return []


Done = Callable[[Cluster, Webhooks], Awaitable[list[str]]]


async def run(settings: Settings, do: Done, done: str) -> int:
    """Do it once and say how it went; returns the exit code."""
    cluster = await KubeCluster.connect(user_agent="dgdr-webhooks")
    try:
        problems = await do(cluster, settings.webhooks)
    except ClusterError as exc:
        problems = [str(exc)]
    finally:
        await cluster.close()
    for line in problems or [done]:
        print(line)
    return 1 if problems else 0


def main(do: Done, done: str) -> int:
    """Run a hook of the chart."""
    try:
        return asyncio.run(run(load(), do, done))
    except SettingsError as exc:
        print(exc, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(leave, "CRDs do without webhooks; only the stored version is served"))
