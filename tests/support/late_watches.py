"""A cluster in memory whose watches tell what happened only when they are told to."""

from collections.abc import Iterable

from dgdr_kube.kinds import Kind
from dgdr_kube.kopf_feed import Collection
from dgdr_kube.ports import Listing
from dgdr_kube.remembering import RememberingCluster
from dgdr_kube.store import Store
from support.fake_cluster import FakeCluster


class LateWatches:
    """Stores for some collections, and the cluster that looks at them."""

    def __init__(self, server: FakeCluster, collections: Iterable[Collection]) -> None:
        self.server = server
        self._stores = [
            (
                wanted,
                Store(kept=wanted.kept, label=wanted.label, indices=wanted.indices, packed=True),
            )
            for wanted in collections
        ]
        self.tell()

    @property
    def cluster(self) -> RememberingCluster:
        kinds = {wanted.kind for wanted, _ in self._stores}
        return RememberingCluster(
            self.server,
            {kind: [s for wanted, s in self._stores if wanted.kind == kind] for kind in kinds},
        )

    def tell(self, *kinds: Kind) -> None:
        """Let the watches catch up, of these kinds only; without any, all."""
        there = self.server.told()
        version = max((int(one["metadata"]["resourceVersion"]) for one in there), default=0)
        for wanted, store in self._stores:
            if kinds and wanted.kind not in kinds:
                continue
            listed = [one for one in there if _is_of(one, wanted)]
            store.replace(None, Listing([wanted.kept(one) for one in listed], str(version)))

    def lose(self) -> None:
        """Let the watches break."""
        for _, store in self._stores:
            store.lose(None)


def _is_of(manifest: dict[str, object], wanted: Collection) -> bool:
    meta = manifest["metadata"]
    assert isinstance(meta, dict)
    labels = meta.get("labels") or {}
    is_kind = (manifest["apiVersion"], manifest["kind"]) == (
        wanted.kind.api_version, wanted.kind.kind
    )  # fmt: skip
    return is_kind and (not wanted.label or wanted.label in labels) and wanted.unless not in labels
