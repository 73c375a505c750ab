"""``helm test``: is what the chart installed there and at work? One look, one line for each answer.

python3 -m dgdr_operator.installed MODE NAMESPACE DEPLOYMENT...
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from dgdr_kube.client import KubeCluster
from dgdr_kube.crd_check import StartRefused, require_crds
from dgdr_kube.errors import Rejected
from dgdr_kube.kinds import DEPLOYMENT
from dgdr_kube.ports import Cluster, Manifest
from dgdr_kube.served import Mode, borrowed, installed


async def lacking(
    cluster: Cluster, mode: Mode, namespace: str, deployments: Sequence[str]
) -> list[str]:
    """Return what stands against a working installation; nothing when all is well."""
    found: list[str] = []
    try:
        await require_crds(cluster, installed(mode), wait_s=0)
        await require_crds(cluster, borrowed(mode), wait_s=0, own=False)
    except StartRefused as exc:
        found.append(str(exc))
    for name in deployments:
        found += await _not_ready(cluster, namespace, name)
    return found


async def _not_ready(cluster: Cluster, namespace: str, name: str) -> list[str]:
    where = f"Deployment {namespace}/{name}"
    try:
        deployment = await cluster.get(DEPLOYMENT, namespace, name)
    except Rejected as exc:
        return [f"{where} cannot be read: {exc.message}"]
    if deployment is None:
        return [f"{where} is not there"]
    ready, wanted = _ready(deployment), deployment["spec"].get("replicas", 1)
    if ready == wanted:
        return []
    return [f"{where}: {ready} of {wanted} pods are ready; `kubectl describe` its pods says why"]


def _ready(deployment: Manifest) -> int:
    """Return how many pods of the newest template are ready."""
    status = deployment.get("status") or {}
    if status.get("observedGeneration") != deployment["metadata"].get("generation"):
        return 0
    return min(int(status.get(field) or 0) for field in ("updatedReplicas", "readyReplicas"))


async def look(mode: Mode, namespace: str, deployments: Sequence[str]) -> int:
    """Look once and say what was seen; returns the exit code."""
    cluster = await KubeCluster.connect(user_agent="dgdr-installed")
    try:
        found = await lacking(cluster, mode, namespace, deployments)
    finally:
        await cluster.close()
    for line in found or [f"CRDs are served; ready: {', '.join(deployments)}"]:
        print(line)
    return 1 if found else 0


def main() -> int:
    """Run the test of the chart."""
    parser = argparse.ArgumentParser(prog="dgdr_operator.installed", description=__doc__)
    parser.add_argument("mode", type=Mode, choices=[*Mode])
    parser.add_argument("namespace")
    parser.add_argument("deployments", nargs="+")
    arguments = parser.parse_args()
    return asyncio.run(look(arguments.mode, arguments.namespace, arguments.deployments))


if __name__ == "__main__":
    sys.exit(main())
