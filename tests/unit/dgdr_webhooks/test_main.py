"""The loop that looks after the certificate."""

import logging
from datetime import datetime

import pytest

from dgdr_webhooks.__main__ import begin, tend
from dgdr_webhooks.adapters.authority import Authority
from dgdr_webhooks.adapters.tls import Served
from dgdr_webhooks.core.certificates import Certificates, Terms, renewed
from dgdr_webhooks.settings import Webhooks
from support.fake_cluster import FakeCluster


class Failing(Authority):
    """Fails in a way that nobody expects, the first time."""

    def __init__(self) -> None:
        super().__init__(FakeCluster(), Webhooks())
        self.asked = 0

    async def tend(self, now: datetime) -> Certificates:
        self.asked += 1
        if self.asked == 1:
            raise ZeroDivisionError
        return renewed(None, Terms(names=("w.ns.svc",)), now)


async def test_an_unexpected_failure_is_logged_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    authority, served = Failing(), Served()
    with caplog.at_level(logging.ERROR):
        await begin(authority, served, check_s=0.0)
    assert authority.asked == 2
    assert served.ends() is not None
    assert "No certificate could be looked after" in caplog.text
    assert await tend(authority, served)
