"""A real Prometheus, and a process-local exporter that looks like Dynamo's frontend."""

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from dgdr_planner.observe import queries
from hack.cluster.tools import PROMETHEUS, ensure


class Page(Protocol):
    """Something that Prometheus scrapes."""

    def page(self) -> str:
        """The page as it is now."""
        ...


@dataclass
class Frontend:
    """Counts requests as time passes; ``rate_per_s`` may change at any moment.

    Like Dynamo's 1.0.2 it shows no series of a model's requests before the first one, and counts
    a request when it ends, ``duration_s`` after it began. ``pages_s`` are the times at which it
    was scraped.
    """

    model: str = "model"
    rate_per_s: float = 0.0
    isl: float = 2048.0
    osl: float = 128.0
    ttft_s: float = 0.25
    itl_s: float = 0.019
    duration_s: float = 2.0
    clock: float = field(default_factory=time.monotonic)
    started: float = 0.0
    done: float = 0.0
    mangled: Callable[[str], str] = lambda page: page
    pages_s: list[float] = field(default_factory=list)

    def page(self) -> str:
        """The page that Prometheus scrapes."""
        self._advance()
        self.pages_s.append(self.clock)
        lines = [f"{queries.ALIVE} 0", f'{queries.MODEL_KNOWN}{{model="{self.model}"}} 32768']
        if self.started:
            inside = self.started - self.done
            lines.append(f'{queries.IN_FLIGHT}{{model="{self.model}"}} {inside}')
        if self.done:
            labels = f'model="{self.model}",endpoint="chat_completions",status="success"'
            lines.append(f"{queries.COMPLETED}{{{labels}}} {self.done}")
            for name, mean in self._means().items():
                lines.append(f'{name}_sum{{model="{self.model}"}} {self.done * mean}')
                lines.append(f'{name}_count{{model="{self.model}"}} {self.done}')
                lines += self._buckets(name, mean)
        return self.mangled("\n".join(lines) + "\n")

    def restart(self) -> None:
        """Be a new process: what was inside is lost."""
        self.started = self.done = 0.0

    def _buckets(self, name: str, mean: float) -> list[str]:
        """Half of the requests up to half the mean, all up to twice the mean."""
        bounds = {f"{mean / 2:g}": self.done / 2, f"{2 * mean:g}": self.done, "+Inf": self.done}
        return [
            f'{name}_bucket{{model="{self.model}",le="{bound}"}} {observed}'
            for bound, observed in bounds.items()
        ]

    def _means(self) -> dict[str, float]:
        return {
            queries.TTFT: self.ttft_s,
            queries.ITL: self.itl_s,
            queries.DURATION: self.duration_s,
            queries.ISL: self.isl,
            queries.OSL: self.osl,
        }

    def _advance(self) -> None:
        now = time.monotonic()
        passed, self.clock = now - self.clock, now
        self.started += self.rate_per_s * passed
        # In equilibrium rate * duration requests are inside; they leave at that pace.
        inside = self.started - self.done
        leaving = inside * min(passed / self.duration_s, 1.0)
        self.done += leaving if inside > 0.5 else inside


@contextlib.contextmanager
def served(frontend: Page, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve a page of metrics; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = frontend.page().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # whoever asked has given up
                self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class LivePrometheus:
    """A Prometheus of our own; it can be stopped and started again with its data."""

    folder: Path
    port: int
    host: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def ask(self, call: str, **params: str) -> Any:
        """Ask its API; returns the data of the answer."""
        with urlopen(f"{self.url}/api/v1/{call}?{urlencode(params)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(ensure(PROMETHEUS) / "prometheus"),
                    f"--config.file={self.folder / 'prometheus.yaml'}",
                    f"--storage.tsdb.path={self.folder / 'data'}",
                    f"--web.listen-address={self.host}:{self.port}",
                ],
                stdout=log,
                stderr=log,
            )
        until(self._is_ready, 30, "Prometheus is ready")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


@contextlib.contextmanager
def prometheus(
    folder: Path,
    targets: dict[str, dict[str, str]],
    scrape_interval_s: float,
    jobs: Sequence[dict[str, Any]] = (),
    rule_files: Sequence[str] = (),
    host: str = "127.0.0.1",
) -> Iterator[LivePrometheus]:
    """Scrape these addresses, each with its labels, as the chart's relabelling gives them.

    ``jobs`` are further ``scrape_configs``.
    """
    interval = f"{round(scrape_interval_s * 1000)}ms"
    config = {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "evaluation_interval": interval,
        },
        "rule_files": list(rule_files),
        "scrape_configs": [
            {
                "job_name": "dynamo",
                "static_configs": [
                    {"targets": [address], "labels": labels} for address, labels in targets.items()
                ],
            },
            *jobs,
        ],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    server = LivePrometheus(folder, free_port(host), host)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for something; says what when it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.2)


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as one:
        one.bind((host, 0))
        port: int = one.getsockname()[1]
        return port
