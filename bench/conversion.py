"""What reading the old version costs, and what users see when those who convert it are in trouble.

``python -m bench.conversion [--objects 1000] [--times 50]`` prints one JSON object. On a light
cluster with two webhook processes behind something like a Service there are as many deployments as
named. The API server converts each when it begins to serve a version, and lists from memory
afterwards: ``first_list`` is the first one after a change of the CRD, with the number of reviews
that it takes, ``list`` and ``get`` are those that follow. Each is done in turn as v1alpha1 and as
v1beta1, which is stored, and ratios are of one run. ``review`` is one review of all objects, sent
to a webhook. Then, with readers at work: one webhook is killed, the certificate is replaced, it is
over, and both are down. ``seen`` is why reads failed.
"""

import argparse
import base64
import http.client
import json
import os
import re
import ssl
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml
from prometheus_client.parser import text_string_to_metric_families

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_api.crd import CONVERT_PATH
from dgdr_webhooks.adapters.authority import written
from dgdr_webhooks.core.certificates import Terms, renewed
from dgdr_webhooks.core.conversion_review import API_VERSION, KIND
from hack.light_webhooks import NAME, NAMESPACE, LightWebhooks, free_port
from hack.rest import Rest
from support.cluster import TestCluster, cluster
from support.webhooks import Balancer, Objects, light_webhooks

GRAPH = "DynamoGraphDeployment"
CRD_NAME = "dynamographdeployments.nvidia.com"
SPACE = "listed"
CHECK_S = 5.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
Json = dict[str, Any]


@dataclass
class Reads:
    """Reads one after the other: how long each took, and what the others said."""

    seconds: list[float] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    failed_at_s: list[float] = field(default_factory=list)

    def once(self, objects: Objects, version: str, name: str = "") -> bool:
        """Read one object, or list them all; returns whether there was an answer."""
        begun_s = time.perf_counter()
        try:
            answer = objects.read(GRAPH, version, name)
            why = None if answer.ok else answer.message
        except OSError as exc:
            why = str(exc)
        if why is None:
            self.seconds.append(time.perf_counter() - begun_s)
            return True
        # Ports differ from call to call.
        self.seen[re.sub(r"\d+\.\d+\.\d+\.\d+:\d+", "...", why)] += 1
        self.failed_at_s.append(time.monotonic())
        return False

    def told(self) -> Json:
        """Return the figures."""
        ms = [1000 * one for one in self.seconds]
        found: Json = {"answered": len(ms), "failed": sum(self.seen.values())}
        if len(ms) > 1:
            cuts = statistics.quantiles(ms, n=100, method="inclusive")
            found |= {"p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1)}
        if self.seen:
            found["seen"] = dict(self.seen.most_common(3))
            found["from_first_to_last_failure_s"] = round(
                self.failed_at_s[-1] - self.failed_at_s[0], 1
            )
        return found


def graph(number: int) -> Json:
    """Return a deployment as people write it in v1alpha1: a frontend and two workers."""
    main = {"image": "registry.test/vllm-runtime:1.0.2", "args": ["--model", "org/model-8b"]}
    worker: Json = {
        "componentType": "worker",
        "replicas": 1,
        "envFromSecret": "hf-token",
        "resources": {"limits": {"gpu": "1", "cpu": "8000m", "memory": "64Gi"}},
        "volumeMounts": [{"name": "cache", "mountPoint": "/models"}],
        "extraPodSpec": {"mainContainer": main},
    }
    services = {
        "Frontend": {"componentType": "frontend", "replicas": 1, "dynamoNamespace": "d"},
        "prefill": {**worker, "subComponentType": "prefill"},
        "decode": {**worker, "subComponentType": "decode"},
    }
    services["Frontend"]["extraPodSpec"] = {"mainContainer": main}
    return {
        "apiVersion": ALPHA,
        "kind": GRAPH,
        "metadata": {"name": f"g{number:04}"},
        "spec": {"pvcs": [{"name": "cache", "create": False}], "services": services},
    }


def cpu_s(webhooks: LightWebhooks) -> float:
    """Return the processor time of the webhooks that run."""
    total = 0
    for process in webhooks.processes:
        if process.poll() is None:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS_PER_S


def reviewed(webhooks: LightWebhooks) -> int:
    """Return how many reviews the webhooks have answered with conversions."""
    total = 0.0
    for config in webhooks.folder.glob("webhooks-*.yaml"):
        port = yaml.safe_load(config.read_text())["health"]["port"]
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
            families = text_string_to_metric_families(page.read().decode())
        samples = [one for family in families for one in family.samples]
        total += sum(s.value for s in samples if s.name == "dgdr_webhooks_reviews_total")
    return round(total)


def quiet(objects: Objects, webhooks: LightWebhooks, names: Sequence[str], times: int) -> Json:
    """List all, and read them one by one, in both versions in turn."""
    found: Json = {}
    for what, wanted in (("list", [""] * times), ("get", names)):
        old, stored, begun_s = Reads(), Reads(), cpu_s(webhooks)
        for name in wanted:
            stored.once(objects, "v1beta1", name)
            old.once(objects, "v1alpha1", name)
        spent_ms = 1000 * (cpu_s(webhooks) - begun_s) / len(wanted)
        ratio = statistics.median(old.seconds) / statistics.median(stored.seconds)
        found[what] = {
            "v1alpha1": old.told(),
            "v1beta1": stored.told(),
            "ratio_of_medians": round(ratio, 2),
            "webhook_cpu_ms": round(spent_ms, 2),
        }
    return found


def reviews(where: TestCluster, webhooks: LightWebhooks, stored: list[Json], times: int) -> Json:
    """Have a webhook convert all at once, as the API server asks it."""
    path = "jsonpath={.data.ca\\.crt}"
    trusted = where.kubectl("get", "secret", NAME, "-n", NAMESPACE, "-o", path)
    context = ssl.create_default_context(cadata=base64.b64decode(trusted).decode())
    request = {"uid": "bench", "desiredAPIVersion": ALPHA, "objects": stored}
    review = {"apiVersion": API_VERSION, "kind": KIND, "request": request}
    body, reads, begun_s = json.dumps(review), Reads(), cpu_s(webhooks)
    line = http.client.HTTPSConnection(webhooks.host, webhooks.port, context=context)
    for _ in range(times):
        sent_s = time.perf_counter()
        line.request("POST", CONVERT_PATH, body, {"Content-Type": "application/json"})
        answer = json.loads(line.getresponse().read())["response"]
        reads.seconds.append(time.perf_counter() - sent_s)
        assert len(answer["convertedObjects"]) == len(stored)
    line.close()
    spent_ms = 1000 * (cpu_s(webhooks) - begun_s) / times
    return {**reads.told(), "webhook_cpu_ms": round(spent_ms, 1), "body_bytes": len(body)}


def first_lists(where: TestCluster, webhooks: LightWebhooks, objects: Objects, times: int) -> Json:
    """Change the CRD, whereupon the API server forgets what it had; list until it answers."""
    found: Json = {}
    before = reviewed(webhooks)
    for version in ("v1beta1", "v1alpha1") * times:
        index = ["v1beta1", "v1alpha1"].index(version)
        text = f"changed at {time.monotonic_ns()}"
        path = f"/spec/versions/{index}/schema/openAPIV3Schema/description"
        patch = [{"op": "add", "path": path, "value": text}]
        where.kubectl("patch", "crd", CRD_NAME, "--type=json", "-p", json.dumps(patch))
        begun_s, reads = time.perf_counter(), Reads()
        while not reads.once(objects, version):
            time.sleep(0.02)
        found.setdefault(version, []).append(round(time.perf_counter() - begun_s, 2))
    each = (reviewed(webhooks) - before) / (2 * times)
    seconds = {f"{version}_s": sorted(seconds) for version, seconds in found.items()}
    return {**seconds, "reviews_each": round(each)}


@contextmanager
def reading(where: TestCluster, version: str, name: str = "") -> Iterator[Reads]:
    """A reader at work until the end of the block."""
    reads, over, rest = Reads(), threading.Event(), Rest(where.kubeconfig)

    def work() -> None:
        while not over.is_set():
            reads.once(Objects(rest, SPACE), version, name)
            over.wait(0.1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield reads
    finally:
        over.set()
        thread.join()
        rest.close()


def scene(where: TestCluster, name: str, trouble: Callable[[], None]) -> Json:
    """Have trouble while one lists v1alpha1, one reads one of it, and one reads what is stored."""
    with (
        reading(where, "v1alpha1") as lists,
        reading(where, "v1alpha1", name) as gets,
        reading(where, "v1beta1", name) as stored,
    ):
        time.sleep(3)
        trouble()
        time.sleep(3)
    kinds = {"list_v1alpha1": lists, "get_v1alpha1": gets, "get_v1beta1": stored}
    return {kind: reads.told() for kind, reads in kinds.items()}


class Troubles:
    """What befalls the webhooks; each has passed when its function returns."""

    def __init__(
        self, where: TestCluster, webhooks: LightWebhooks, objects: Objects, behind: Sequence[int]
    ) -> None:
        self._where, self._webhooks, self._objects = where, webhooks, objects
        self._behind = behind

    def one_killed(self) -> None:
        self._webhooks.processes[0].kill()
        time.sleep(10)
        self._start(0)

    def certificate_replaced(self) -> None:
        self._secret("json", [{"op": "remove", "path": "/data/tls.crt"}])
        time.sleep(3 * CHECK_S)

    def certificate_over(self) -> None:
        """Put an authority and a certificate there that ended long ago."""
        names = (f"{NAME}.{NAMESPACE}.svc", f"{NAME}.{NAMESPACE}.svc.cluster.local")
        terms = Terms(names=(*names, self._webhooks.host))
        long_ago = datetime.now(UTC) - timedelta(days=6000)
        self._secret("merge", {"data": written(renewed(None, terms, long_ago))})
        time.sleep(4 * CHECK_S)

    def both_down(self) -> None:
        for process in self._webhooks.processes:
            process.kill()
            process.wait()
        time.sleep(10)
        for number in range(len(self._behind)):
            self._start(number)

    def _start(self, number: int) -> None:
        self._webhooks.processes.pop(number).wait()
        self._webhooks.start(self._behind[number])
        self._webhooks.processes.insert(number, self._webhooks.processes.pop())
        while not Reads().once(self._objects, "v1alpha1", graph(0)["metadata"]["name"]):
            time.sleep(0.1)

    def _secret(self, kind: str, patch: Any) -> None:
        where = ("patch", "secret", NAME, "-n", NAMESPACE, f"--type={kind}")
        self._where.kubectl(*where, "-p", json.dumps(patch))


def run(where: TestCluster, folder: Path, count: int, times: int) -> Json:
    """Return all figures."""
    where.kubectl("create", "namespace", SPACE)
    port, behind = free_port(), [free_port(), free_port()]
    balancer, rest = Balancer(port, behind), Rest(where.kubeconfig)
    settings = {"certificate": {"checkSeconds": CHECK_S}, "drainSeconds": 1}
    chosen = ("--set", "namespaces={elsewhere}")
    with light_webhooks(where, folder, *chosen, port=port, behind=behind, **settings) as webhooks:
        objects = Objects(rest, SPACE)
        manifests = [graph(number) for number in range(count)]
        for one in manifests:
            # Stored as the API server stores what was written as v1alpha1.
            answer = objects.create(converted(one, BETA))
            assert answer.ok, answer.message
        names = [one["metadata"]["name"] for one in manifests]
        stored = objects.read(GRAPH, "v1beta1").body["items"]
        found = {"review": reviews(where, webhooks, stored, times)}
        found |= quiet(objects, webhooks, names, times)
        found["first_list"] = first_lists(where, webhooks, objects, 5)
        troubles = Troubles(where, webhooks, objects, behind)
        for trouble in (
            troubles.one_killed,
            troubles.certificate_replaced,
            troubles.certificate_over,
            troubles.both_down,
        ):
            found[trouble.__name__] = scene(where, names[0], trouble)
            print(json.dumps({trouble.__name__: found[trouble.__name__]}), file=sys.stderr)
    rest.close()
    balancer.close()
    return {"objects": count, "check_s": CHECK_S, "cpus": os.cpu_count(), **found}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--times", type=int, default=50)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster(f"conversion-{os.getpid()}") as where,
    ):
        print(json.dumps(run(where, Path(folder), chosen.objects, chosen.times), indent=1))


if __name__ == "__main__":
    main()
