"""One container as the kubelet keeps it: probed as the chart says, started again when it ends."""

import asyncio
import signal
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

import aiohttp
import yaml

from support.cluster import ROOT
from support.operator_process import OperatorProcess

CHART = ROOT / "tests" / "integration" / "golden" / "chart-default.yaml"
GRACE_S = 30.0
LOOK_S = 0.5
# The kubelet's own: doubled from the second restart on, forgotten after ten minutes of life.
FIRST_BACKOFF_S, LONGEST_BACKOFF_S, FORGOTTEN_S = 10.0, 300.0, 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How often it is asked, and how many refusals in a row count."""

    period_s: float
    timeout_s: float
    failures: int

    @classmethod
    def of_chart(cls, name: str) -> Self:
        """Read one of the probes that the chart gives operator and planner, which are alike."""
        for manifest in yaml.safe_load_all(CHART.read_text()):
            if manifest and manifest["kind"] == "Deployment":
                (container,) = manifest["spec"]["template"]["spec"]["containers"]
                probe = container[name]
                return cls(
                    period_s=probe.get("periodSeconds", 10),
                    timeout_s=probe.get("timeoutSeconds", 1),
                    failures=probe.get("failureThreshold", 3),
                )
        raise AssertionError(f"{CHART} has no Deployment")


class Why(StrEnum):
    """Why a process ended."""

    PROBE = "probe"
    ITSELF = "itself"


@dataclass
class Kubelet:
    """Runs until cancelled; ``ended`` is why the process did, each time."""

    process: OperatorProcess
    session: aiohttp.ClientSession
    ended: list[Why] = field(default_factory=list)
    is_well: bool = False
    _backoff_s: float = 0.0

    async def run(self) -> None:
        """Start it, and start it again."""
        try:
            while True:
                began_s = time.monotonic()
                self.process.start()
                self.ended.append(await self._one_life())
                self.is_well = False
                await asyncio.sleep(self._next_backoff_s(time.monotonic() - began_s))
        finally:
            self.process.kill()

    async def _one_life(self) -> Why:
        started = Probe.of_chart("startupProbe")
        if not await self._until(True, started, times=1, at_most=started.failures):
            return await self._end()
        self.is_well = True
        lives = Probe.of_chart("livenessProbe")
        await self._until(False, lives, times=lives.failures)
        return await self._end()

    async def _until(self, wanted: bool, probe: Probe, times: int, at_most: int = 0) -> bool:
        """Ask until it has answered so, so many times in a row; False when it does not."""
        in_a_row = asked = 0
        while self.process.running() and (not at_most or asked < at_most):
            in_a_row = in_a_row + 1 if await self._asked(probe) is wanted else 0
            asked += 1
            if in_a_row == times:
                return True
            await self._ends_within(probe.period_s)
        return False

    async def _asked(self, probe: Probe) -> bool:
        url = f"http://127.0.0.1:{self.process.port}/healthz"
        try:
            async with asyncio.timeout(probe.timeout_s), self.session.get(url) as answer:
                return answer.status == 200
        except (TimeoutError, aiohttp.ClientError, OSError):
            return False

    async def _end(self) -> Why:
        if not self.process.running():
            return Why.ITSELF
        self.process.send(signal.SIGTERM)
        await self._ends_within(GRACE_S)
        self.process.kill()
        return Why.PROBE

    async def _ends_within(self, seconds: float) -> None:
        for _ in range(int(seconds / LOOK_S)):
            if not self.process.running():
                return
            await asyncio.sleep(LOOK_S)

    def _next_backoff_s(self, lived_s: float) -> float:
        if lived_s > FORGOTTEN_S:
            self._backoff_s = 0.0
        now_s = self._backoff_s
        self._backoff_s = min(max(2 * now_s, FIRST_BACKOFF_S), LONGEST_BACKOFF_S)
        return now_s
