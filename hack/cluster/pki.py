"""Certificates of one boot. They are never reused: addresses and keys belong to that boot."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.cluster.errors import ClusterError
from hack.cluster.model import NODE_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from hack.cluster.model import Cluster, Tier

VALID_DAYS = "3650"
# An own configuration: Debian's would make every certificate a CA.
CONFIG = "[req]\ndistinguished_name = subject\nprompt = no\n[subject]\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One certificate; ``organization`` is the user's group in Kubernetes."""

    file: str
    common_name: str
    organization: str = ""
    authority: str = "ca"
    usage: str = "clientAuth"
    alternative_names: str = ""

    @property
    def subject(self) -> str:
        group = f"/O={self.organization}" if self.organization else ""
        return f"{group}/CN={self.common_name}"


CONTROL_PLANE = (
    Leaf(file="admin", common_name="dgdr-admin", organization="system:masters"),
    Leaf(file="kwok", common_name="kwok", organization="system:masters"),
    Leaf(
        file="kubelet-client",
        common_name="kube-apiserver-kubelet-client",
        organization="system:masters",
    ),
    Leaf(file="front-client", common_name="front-proxy-client", authority="front-ca"),
    Leaf(file="controller-manager", common_name="system:kube-controller-manager"),
    Leaf(file="scheduler", common_name="system:kube-scheduler"),
)
NODE = (
    Leaf(file="node", common_name=f"system:node:{NODE_NAME}", organization="system:nodes"),
    Leaf(file="proxy", common_name="system:kube-proxy"),
    Leaf(file="coredns", common_name="system:coredns"),
)


def leaves(cluster: Cluster) -> tuple[Leaf, ...]:
    """Every certificate that the cluster's tier needs."""
    names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ]
    addresses = ["127.0.0.1", cluster.node_ip, cluster.api_cluster_ip]
    server = Leaf(
        file="apiserver",
        common_name="kube-apiserver",
        usage="serverAuth",
        alternative_names=",".join([f"DNS:{n}" for n in names] + [f"IP:{a}" for a in addresses]),
    )
    return (server, *CONTROL_PLANE, *(NODE if _has_node(cluster.tier) else ()))


def _has_node(tier: Tier) -> bool:
    return tier.value == "full"


def create(cluster: Cluster) -> None:
    """Write the authorities, every leaf and the service accounts' key pair."""
    folder = cluster.pki
    folder.mkdir(parents=True, mode=0o700)
    (folder / "openssl.cnf").write_text(CONFIG)
    with ThreadPoolExecutor() as pool:
        # The RSA key is the slowest, so it starts first.
        service_accounts = pool.submit(_service_account_keys, folder)
        for done in [pool.submit(_authority, folder, name) for name in ("ca", "front-ca")]:
            done.result()
        for done in [pool.submit(_leaf, folder, leaf) for leaf in leaves(cluster)]:
            done.result()
        service_accounts.result()


def _service_account_keys(folder: Path) -> None:
    _openssl(folder, "genrsa", "-out", "sa.key", "2048")
    _openssl(folder, "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")


def _authority(folder: Path, name: str) -> None:
    extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
    _certificate(folder, name, f"/CN=dgdr-{name}", extensions)


def _leaf(folder: Path, leaf: Leaf) -> None:
    extensions = [f"extendedKeyUsage={leaf.usage}", "keyUsage=critical,digitalSignature"]
    if leaf.alternative_names:
        extensions.append(f"subjectAltName={leaf.alternative_names}")
    authority = ("-CA", f"{leaf.authority}.crt", "-CAkey", f"{leaf.authority}.key")
    _certificate(folder, leaf.file, leaf.subject, tuple(extensions), authority)


def _certificate(
    folder: Path,
    file: str,
    subject: str,
    extensions: tuple[str, ...],
    authority: tuple[str, ...] = (),
) -> None:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    output = ("-keyout", f"{file}.key", "-out", f"{file}.crt", "-days", VALID_DAYS)
    wanted = [part for extension in extensions for part in ("-addext", extension)]
    common = ("req", "-x509", "-config", "openssl.cnf", "-subj", subject)
    _openssl(folder, *common, *key, *output, *authority, *wanted)


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        ["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ClusterError(f"openssl {arguments[0]} failed: {done.stderr.strip()[-500:]}")
