"""What the webhooks show of their work: ``dgdr_webhooks_*``."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Telemetry:
    """Counts reviews by webhook and by what came of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reviews = Counter(
            "dgdr_webhooks_reviews",
            "Reviews by webhook and result: ok, refused, failed, unreadable",
            ("webhook", "result"),
            registry=registry,
        )
        self._objects = Counter(
            "dgdr_webhooks_objects", "Objects of reviews", ("webhook",), registry=registry
        )
        self._seconds = Histogram(
            "dgdr_webhooks_review_duration_seconds",
            "Time from a whole request to its answer",
            ("webhook",),
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._end = Gauge(
            "dgdr_webhooks_certificate_end_seconds",
            "When the certificate that is served ends, in Unix time; 0: there is none",
            registry=registry,
        )

    def reviewed(self, webhook: str, result: str, objects: int, seconds: float) -> None:
        """Count a review."""
        self._reviews.labels(webhook, result).inc()
        self._objects.labels(webhook).inc(objects)
        self._seconds.labels(webhook).observe(seconds)

    def show_certificate(self, ends_s: Callable[[], float]) -> None:
        """Show when the certificate ends."""
        self._end.set_function(ends_s)
