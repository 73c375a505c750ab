"""Small records in numbered ConfigMaps of one request."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from dgdr_api import names
from dgdr_api.names import Label, RecordKind
from dgdr_api.request import ProfilingRequest
from dgdr_profiler.adapters.kube import CONFIG_MAP, AlreadyExists, ClusterError, Kube, Manifest

# Of at most 1 KiB each: half of what a ConfigMap may hold.
RECORDS_PER_MAP = 500
COLLECTED_TIMEOUT_S = 60.0
POLL_S = 1.0


class Shelf:
    """Records of one kind, by key."""

    def __init__(
        self,
        kube: Kube,
        request: ProfilingRequest,
        kind: RecordKind,
        name: Callable[[str, int], str],
    ) -> None:
        self._kube = kube
        self._request = request
        self._kind = kind
        self._name = name
        self._keys: dict[str, set[str]] = {}

    async def read(self) -> dict[str, str]:
        """Return all records of this request."""
        found = await numbered(self._kube, self._name, self._request.dgdr_name)
        mine = [m for m in found if is_of(m, self._request.uid)]
        stored = {m["metadata"]["name"]: m.get("data") or {} for m in mine}
        self._keys = {name: set(data) for name, data in stored.items()}
        return {key: text for data in stored.values() for key, text in data.items()}

    async def put(self, records: Mapping[str, str]) -> None:
        """Store records in one write, all or none; a key that is there is replaced."""
        name = self._place(records)
        if name not in self._keys:
            labels = {Label.RUN.value: self._request.uid, Label.RECORDS.value: self._kind.value}
            await ensure(self._kube, self._request, name, labels)
        await self._kube.merge(CONFIG_MAP, name, {"data": dict(records)})
        self._keys[name] = self._keys.get(name, set()) | set(records)

    def _place(self, records: Mapping[str, str]) -> str:
        there = (name for name, keys in self._keys.items() if keys & set(records))
        return next(there, None) or self._with_room(len(records))

    def _with_room(self, count: int) -> str:
        for index in range(names.RECORD_MAPS):
            name = self._name(self._request.dgdr_name, index)
            if len(self._keys.get(name, ())) + count <= RECORDS_PER_MAP:
                return name
        most = names.RECORD_MAPS * RECORDS_PER_MAP
        raise ClusterError(
            f"{most} {self._kind.value} records are stored, and there is no room for more; "
            "begin with a request of another name"
        )


async def numbered(kube: Kube, name: Callable[[str, int], str], dgdr: str) -> list[Manifest]:
    """Return the numbered ConfigMaps of a request, which has the first before the second."""
    found: list[Manifest] = []
    for index in range(names.RECORD_MAPS):
        there = await kube.get(CONFIG_MAP, name(dgdr, index))
        if there is None:
            break
        found.append(there)
    return found


async def ensure(
    kube: Kube, request: ProfilingRequest, name: str, labels: Mapping[str, str]
) -> Manifest:
    """Make a ConfigMap of a request; one of an earlier namesake is being collected.

    Returns:
        The ConfigMap that is there now.

    Raises:
        ClusterError: the namesake's does not go away.
    """
    deadline_s = time.monotonic() + COLLECTED_TIMEOUT_S
    while True:
        try:
            return await kube.create(CONFIG_MAP, _config_map(request, name, labels))
        except AlreadyExists:
            found = await kube.get(CONFIG_MAP, name)
        if found is not None and is_of(found, request.uid):
            return found
        if time.monotonic() > deadline_s:
            raise ClusterError(
                f"ConfigMap {name} belongs to another request of the same name; delete it"
            )
        await asyncio.sleep(POLL_S)


def is_of(found: Manifest, uid: str) -> bool:
    """Whether an object belongs to the request of that uid."""
    owners: list[Any] = found["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == uid for owner in owners)


def _config_map(request: ProfilingRequest, name: str, labels: Mapping[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "labels": {
                Label.MANAGED_BY.value: names.MANAGED_BY_VALUE,
                Label.DGDR_NAME.value: request.dgdr_name,
                Label.DGDR_NAMESPACE.value: request.namespace,
                **labels,
            },
            "ownerReferences": [request.owner_reference.to_json()],
        },
    }
