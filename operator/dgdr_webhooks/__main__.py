"""``python -m dgdr_webhooks``: answer the API server; keep the certificates that it trusts."""

import asyncio
import logging
import os
import ssl
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from dgdr_kube.client import KubeCluster
from dgdr_kube.depth import allow_depth
from dgdr_kube.errors import ClusterError
from dgdr_kube.metrics import KubeMetrics
from dgdr_kube.process import heartbeat, run_together, until_told
from dgdr_kube.serving import Health
from dgdr_kube.serving import application as health_application
from dgdr_kube.serving import start as start_health
from dgdr_webhooks.adapters.authority import Authority, NoCertificate
from dgdr_webhooks.adapters.tls import Served
from dgdr_webhooks.serving import application, start
from dgdr_webhooks.settings import Settings, SettingsError, load
from dgdr_webhooks.telemetry import Telemetry

log = logging.getLogger("dgdr_webhooks")

EXIT_BAD_SETTINGS = 2
# Until there is a first certificate, or while the last one is over, nobody is served.
HURRY_S = 2.0


class CertificateWatch:
    """Whether there is a certificate that clients accept: for readiness."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.leaving = False

    @property
    def followed(self) -> bool:
        """Whether requests can be answered."""
        return not self.leaving and self._served.is_valid(datetime.now(UTC))

    def silent_s(self) -> float:
        """Nothing here can hang that a restart would cure."""
        return 0.0


def main() -> None:
    """Run the webhooks."""
    logging.basicConfig(
        level=os.environ.get("DGDR_LOG_LEVEL", "INFO"),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    allow_depth()
    try:
        sys.exit(asyncio.run(until_told(serve(load()))))
    except SettingsError as exc:
        log.error("%s", exc)
        sys.exit(EXIT_BAD_SETTINGS)


async def serve(settings: Settings) -> int:
    """Run until stopped; returns the exit code."""
    own, registry, health, served = settings.webhooks, CollectorRegistry(), Health(), Served()
    telemetry, kube = Telemetry(registry), KubeMetrics(registry)
    telemetry.show_certificate(served.ends_s)
    certificate = CertificateWatch(served)
    health.follow("certificate", None, certificate)
    cluster = await KubeCluster.connect(user_agent="dgdr-webhooks", told=kube.called)
    authority, check_s = Authority(cluster, own), own.certificate.check_seconds
    async with AsyncExitStack() as stack:
        stack.push_async_callback(cluster.close)
        told = await start_health(health_application(health, registry), settings.health.port)
        stack.push_async_callback(told.cleanup)
        await begin(authority, served, check_s)
        asked = await start(application(own.default_image, telemetry), own.port, served.context)
        stack.push_async_callback(asked.cleanup)
        try:
            return await run_together(
                keep(authority, served, check_s),
                {"heartbeat": heartbeat(health, "event loop")},
            )
        except asyncio.CancelledError:
            # Endpoints are told first; requests that are on their way find somebody.
            certificate.leaving = True
            await asyncio.sleep(own.drain_seconds)
            raise


async def begin(authority: Authority, served: Served, check_s: float) -> None:
    """Wait for the first certificate: before it whoever connects would be turned away."""
    while True:
        if await tend(authority, served):
            return
        await asyncio.sleep(min(HURRY_S, check_s))


async def keep(authority: Authority, served: Served, check_s: float) -> None:
    """Have a certificate that is accepted, for ever; what fails is tried again."""
    while True:
        is_well = served.is_valid(datetime.now(UTC))
        await asyncio.sleep(check_s if is_well else min(HURRY_S, check_s))
        await tend(authority, served)


async def tend(authority: Authority, served: Served) -> bool:
    """Look after the certificate once; returns whether there is one to serve with."""
    try:
        if served.show(await authority.tend(datetime.now(UTC))):
            log.info("Serving with a certificate that ends at %s", served.ends())
    except (ClusterError, NoCertificate, ssl.SSLError) as exc:
        log.warning("No certificate could be looked after: %s", exc)
    except Exception:
        # Whatever somebody wrote into the Secret: without this loop nobody would be served.
        log.exception("No certificate could be looked after")
    return served.ends() is not None


if __name__ == "__main__":
    main()
