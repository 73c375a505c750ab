"""Waits until a candidate serves, and gives it up as soon as the cluster says that it will not."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dgdr_api.graph import Graph
from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.names import Label
from dgdr_profiler.adapters.endpoint import serves
from dgdr_profiler.adapters.kube import DGD, EVENT, POD, ClusterError, Kube, Manifest
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.images import unpullable
from dgdr_profiler.core.last_words import READ_LOGS, TAIL_LINES, last_words
from dgdr_profiler.core.pod_troubles import Trouble, homeless
from dgdr_profiler.core.readiness import in_short, is_ready, is_scaling_up, with_words, words_of
from dgdr_profiler.core.watched import Watched, believed, failed_pulls, watch
from dgdr_profiler.ports import Tell

POLL_S = 0.5
# A start of some seconds is not worth a word.
FIRST_WORD_S = 10.0
NEXT_WORD_S = 30.0
# An autoscaler's order is looked up again after this.
ASK_AGAIN_S = 10.0
FORBIDDEN = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a candidate may take to serve, and how long each of its pods to get a node."""

    ready_s: float
    schedule_s: float


class Wait:
    """One wait for one candidate; ``fields`` name by image where a user says which it is."""

    def __init__(
        self,
        kube: Kube,
        graph: Graph,
        patience: Patience,
        tell: Tell,
        fields: Mapping[str, str],
    ) -> None:
        self._kube = kube
        self._graph = graph
        self._patience = patience
        self._tell = tell
        self._fields = fields
        self._began_s = time.monotonic()
        self._next_word_s = FIRST_WORD_S
        self._promised: dict[str, float] = {}
        self._watched: tuple[Watched, ...] = ()

    async def until_serving(self, url: str, model: str) -> None:
        """Return when the candidate answers.

        Raises:
            CandidateFailed: it will not, or not in time; the message says why.
        """
        while True:
            found = await self._kube.get(DGD, self._graph.name)
            if found is None:
                raise CandidateFailed(
                    f"the deployment {self._graph.name} was deleted by someone else", lasting=False
                )
            dgd = DynamoGraphDeployment.parse(found)
            if is_ready(dgd) and await serves(url, model):
                return
            await self._look(dgd)
            await asyncio.sleep(POLL_S)

    async def _look(self, dgd: DynamoGraphDeployment) -> None:
        """Raise when waiting on is of no use; say from time to time what is waited for."""
        pods, words = await pods_of(self._kube, self._graph), words_of(dgd)
        if not is_ready(dgd):
            now_s = time.monotonic()
            self._watched = watch(self._watched, pods, now_s)
            stuck = believed(self._watched, now_s, await self._failed_pulls())
            if stuck is not None:
                raise await self._failed(stuck, words)
            await self._check_nodes(pods, words)
        waited_s = time.monotonic() - self._began_s
        why = [*(h.words for h in homeless(pods)), *(str(w.trouble) for w in self._watched)][:1]
        if waited_s > self._patience.ready_s:
            late = f"not serving after {self._patience.ready_s:.0f} s"
            raise CandidateFailed(with_words(": ".join([late, *why]), words, "".join(why)))
        if waited_s >= self._next_word_s:
            self._next_word_s = waited_s + NEXT_WORD_S
            await self._tell(waited_s, in_short(words) or "".join(why) or "it does not answer yet")

    async def _failed(self, stuck: Trouble, words: str) -> CandidateFailed:
        if stuck.image is not None:
            text = unpullable(stuck.image, stuck.reason, self._fields)
            return CandidateFailed(text, lasting=stuck.lasting, image=stuck.image)
        container = stuck.container
        said = ""
        if container is not None:
            read = await self._kube.log_tail(stuck.pod, container, stuck.restarted, TAIL_LINES)
            last = last_words(read or stuck.log_end).strip()
            said = f"; its log ends: {last}" if last else ""
        text = with_words(f"{stuck}{said}", words)
        if stuck.restarted and not said:
            text += f"; its last words are not known: {READ_LOGS}"
        return CandidateFailed(text, lasting=stuck.lasting)

    async def _failed_pulls(self) -> dict[tuple[str, str | None], int]:
        """Count for each image that may still come how often it did not."""
        waits = [w.trouble for w in self._watched if w.trouble.may_be_pulled]
        return {
            trouble.place: failed_pulls(await self._events_of(trouble.pod), trouble.image or "")
            for trouble in waits
        }

    async def _check_nodes(self, pods: Sequence[Manifest], words: str) -> None:
        """Raise when a pod waits for a node for too long and nobody is making one."""
        now, limit_s = datetime.now(UTC), self._patience.schedule_s
        for lost in homeless(pods):
            if lost.waited_s(now) > limit_s and not await self._gets_node(lost.pod):
                text = f"no node for {limit_s:.0f} s: {lost.words}"
                raise CandidateFailed(with_words(text, words, lost.words))

    async def _gets_node(self, pod: str) -> bool:
        """Whether an autoscaler makes a node."""
        if self._promised.get(pod, 0.0) > time.monotonic():
            return True
        promised = is_scaling_up(await self._events_of(pod), pod)
        if promised:
            self._promised[pod] = time.monotonic() + ASK_AGAIN_S
        return promised

    async def _events_of(self, pod: str) -> list[Manifest]:
        """Return what is said about a pod; nothing without the right to read events."""
        try:
            return await self._kube.list(EVENT, {}, {"involvedObject.name": pod})
        except ClusterError as exc:
            if exc.status != FORBIDDEN:
                raise
            return []


async def pods_of(kube: Kube, graph: Graph) -> list[Manifest]:
    """Return the pods of a graph."""
    return await kube.list(POD, {Label.GRAPH.value: graph.name})
