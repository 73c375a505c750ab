"""A Prometheus that remembers hours which nobody has waited for.

It stands in front of a real one, which answers all but range queries: those ask for the past of one
deployment, and are told ``WINDOWS`` windows of a steady load that varies as chance does.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import numpy as np

# A planner keeps 512 as they came, and merges the older ones.
WINDOWS = 520
ISL, OSL = 2048.0, 128.0


def past(start_s: float, end_s: float, step_s: float, rate_per_s: float) -> list[dict[str, Any]]:
    """The ``result`` of a range query for load and lengths."""
    steps = min(int((end_s - start_s) / step_s) + 1, WINDOWS)
    at_s = (end_s - step_s * np.arange(steps - 1, -1, -1)).tolist()
    chance = np.random.default_rng(steps)
    told = {
        "rate": chance.poisson(rate_per_s * step_s, steps) / step_s,
        "isl": chance.normal(ISL, 0.02 * ISL, steps),
        "osl": chance.normal(OSL, 0.02 * OSL, steps),
    }
    return [
        {"metric": {"of": of}, "values": list(zip(at_s, map(str, values.tolist()), strict=True))}
        for of, values in told.items()
    ]


@contextmanager
def remembering(url: str, rate_per_s: float) -> Iterator[str]:
    """Serve in front of the Prometheus at ``url``; gives the address to ask."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            if asked.path.endswith("/query_range"):
                given = {name: values[0] for name, values in parse_qs(asked.query).items()}
                times_s = (float(given[name]) for name in ("start", "end", "step"))
                data = {"resultType": "matrix", "result": past(*times_s, rate_per_s)}
                page = json.dumps({"status": "success", "data": data}).encode()
            else:
                with urlopen(url + self.path, timeout=30) as answer:
                    page = answer.read()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
