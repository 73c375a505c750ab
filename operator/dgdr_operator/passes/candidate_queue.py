"""Looks at the other candidates of a run before one of them gets pods."""

from dgdr_api import names
from dgdr_api.codec_v1beta1 import decode
from dgdr_api.gpus import graph_gpus, held_gpus
from dgdr_api.names import Label
from dgdr_api.reading import CodecError
from dgdr_api.request import ProfilingRequest
from dgdr_kube.kinds import CONFIG_MAP, DEPLOYMENT, DGD, POD
from dgdr_kube.manifests import is_going, is_owned_by
from dgdr_kube.ports import Manifest, Manifests, WatchedCluster
from dgdr_operator.core.candidate_limit import (
    Candidate,
    gpus_at_once,
    held_back,
    is_left,
)
from dgdr_operator.core.observed_run import accepted_seen, is_candidate
from dgdr_operator.followed import OF_GRAPH, OF_RUN
from dgdr_operator.passes.claims import claims_of


class CandidateQueue:
    """Reads only."""

    def __init__(self, cluster: WatchedCluster) -> None:
        self._cluster = cluster

    async def why_wait(self, dgd: Manifest) -> str | None:
        """Say why a deployment has to wait for others of its run; None when it need not."""
        if not is_candidate(dgd):
            return None
        meta = dgd["metadata"]
        run: str = meta["labels"][Label.RUN]
        told = await self._told(dgd, run)
        if told is None:
            return (
                "not started: nobody knows how many GPUs its run may hold, because the ConfigMap "
                "with the profiling request is gone; delete this deployment, or the "
                "DynamoGraphDeploymentRequest"
            )
        most = gpus_at_once(told)
        if most is None:
            return None
        # One watch tells of candidates in the order in which they were made: whoever is heard of
        # has been heard of after all that are before him.
        found = await self._cluster.find(DGD, meta["namespace"], OF_RUN, run)
        # Whoever copies the label onto a deployment of his own must not hold up the run.
        candidates = [await self._read(other) for other in found if is_candidate(other)]
        why = held_back(meta["name"], candidates, most)
        if why is not None:
            return why
        ending = await self._ending(dgd, run, _names(found))
        return held_back(meta["name"], candidates, most, ending)

    async def _ending(self, dgd: Manifest, run: str, graphs: frozenset[str]) -> int:
        """GPUs that pods of the run still hold; none that counts once this candidate has its own.

        What has begun goes on: it was room enough then.
        """
        meta = dgd["metadata"]
        made = await self._cluster.find(DEPLOYMENT, meta["namespace"], OF_GRAPH, meta["name"])
        if any(is_owned_by(deployment, meta["uid"]) for deployment in made):
            return 0
        pods = await self._cluster.list(POD, meta["namespace"], {Label.RUN.value: run})
        return sum(
            held_gpus(pod)
            for pod in pods
            if is_left(_graph_of(pod), is_going(pod), meta["name"], graphs)
        )

    async def _told(self, dgd: Manifest, run: str) -> ProfilingRequest | None:
        owners = dgd["metadata"].get("ownerReferences") or ()
        name = next((owner["name"] for owner in owners if owner.get("uid") == run), None)
        if name is None:
            return None
        namespace = dgd["metadata"]["namespace"]
        where = (CONFIG_MAP, namespace, names.job_name(name))
        # No two watches are as late as each other: the candidate may be heard of first.
        found = await self._cluster.look(*where) or await self._cluster.get(*where)
        return accepted_seen(found) if found is not None and is_owned_by(found, run) else None

    async def _read(self, dgd: Manifest) -> Candidate:
        meta = dgd["metadata"]
        try:
            graph = decode(dgd)
            gpus = graph_gpus(graph, await claims_of(self._cluster, graph))
        except CodecError:
            gpus = 0  # it gets no pods either
        created = str(meta.get("creationTimestamp", ""))
        return Candidate(created=created, name=meta["name"], gpus=gpus)


def _names(dgds: Manifests) -> frozenset[str]:
    return frozenset(dgd["metadata"]["name"] for dgd in dgds)


def _graph_of(pod: Manifest) -> str:
    return str(pod["metadata"]["labels"].get(Label.GRAPH.value, ""))
