"""Boot a native cluster, everything at once that does not wait for something else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from hack.cluster import (
    components,
    configs,
    host,
    kubeconfig,
    launch,
    load,
    machine,
    marker,
    node,
    objects,
    paths,
    pause,
    pki,
    ready,
)
from hack.cluster.api import Api
from hack.cluster.model import Cluster, Tier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor
    from pathlib import Path


@dataclass(slots=True)
class Stopwatch:
    """Seconds of each stage, in order."""

    stages_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.stages_s[name] = round(time.monotonic() - began, 2)


def boot(
    cluster: Cluster, binaries: Path, number_lock: TextIO, owner: int | None
) -> dict[str, float]:
    """Boot and return the seconds by stage. A failure leaves no process behind."""
    watch = Stopwatch()
    built = pause.ensure()
    cluster.logs.mkdir(parents=True)
    cluster.home.chmod(0o700)
    machine.THIS.record_once()
    with ThreadPoolExecutor() as pool:
        certificates = pool.submit(pki.create, cluster)
        with watch.stage("namespaces"):
            lease = launch.start_keeper(cluster, built / "init", number_lock, owner)
        try:
            init = lease.init.pid
            with watch.stage("network"):
                _prepare_node(cluster, init)
            with watch.stage("certificates"):
                certificates.result()
                _write_files(cluster)
            _start(cluster, init, binaries, pool, built / "pause.tar", watch)
            _record(cluster, binaries, lease)
            lease.ready()
        except BaseException:
            lease.abandon()
            raise
    return watch.stages_s


def _prepare_node(cluster: Cluster, init: int) -> None:
    node.connect(cluster, init)
    node.run_inside(init, node.setup_script(cluster))
    if cluster.tier is Tier.FULL:
        host.make_cgroups(cluster.cgroup)


def _write_files(cluster: Cluster) -> None:
    users = [leaf.file for leaf in pki.leaves(cluster) if leaf.usage == "clientAuth"]
    for user in users:
        text = _kubeconfig(cluster, user)
        paths.write_atomically(cluster.pki / f"{user}.kubeconfig", text)
    if cluster.tier is Tier.FULL:
        for name, text in configs.files(cluster).items():
            paths.write_atomically(cluster.run / name, text)


def _kubeconfig(cluster: Cluster, user: str) -> str:
    return kubeconfig.render_for(cluster.pki, user, context=cluster.context, server=cluster.server)


def _start(
    cluster: Cluster, init: int, binaries: Path, pool: Executor, pause_image: Path, watch: Stopwatch
) -> None:
    api = Api(cluster.server, cluster.pki)
    imported = None
    with watch.stage("API server"):
        node.start(cluster, init, components.first(cluster, binaries))
        if cluster.tier is Tier.FULL:
            imported = pool.submit(load.load_when_up, init, [pause_image], ready.PATIENCE_S)
        ready.wait_api(cluster, api, init)
    with watch.stage("usable"):
        node.start(cluster, init, components.second(cluster, binaries))
        if cluster.tier is Tier.FULL:
            for path, manifest in objects.dns(cluster).items():
                api.apply(path, manifest)
        ready.wait_usable(cluster, api, init)
        if imported is not None:
            imported.result()


def _record(cluster: Cluster, binaries: Path, lease: launch.Lease) -> None:
    paths.write_atomically(cluster.kubeconfig, _kubeconfig(cluster, "admin"))
    authority = (cluster.pki / "ca.crt").read_bytes()
    made = marker.Marker(
        name=cluster.name,
        tier=cluster.tier,
        number=cluster.number,
        backend=marker.NATIVE,
        context=cluster.context,
        server=cluster.server,
        authority_sha256=kubeconfig.authority_fingerprint(authority),
        bin_dir=str(binaries),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        keeper=lease.keeper,
        init=lease.init,
    )
    marker.write(cluster.home, made)
