"""A cluster in memory that counts what is read; each answer takes a moment."""

import asyncio
from collections.abc import Mapping

from dgdr_kube.kinds import Kind
from dgdr_kube.ports import Kept, Manifest, Manifests, whole
from support.fake_cluster import FakeCluster


class CountingCluster(FakeCluster):
    """Counts ``reads``."""

    reads = 0

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        self.reads += 1
        await asyncio.sleep(0)
        return await super().get(kind, namespace, name)

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        labels: Mapping[str, str] | None = None,
        *,
        kept: Kept = whole,
    ) -> Manifests:
        self.reads += 1
        await asyncio.sleep(0)
        return await super().list(kind, namespace, labels, kept=kept)
