"""What happens to an engine's pod from outside."""

import json

from hack.demo.kube import Kube, Manifest


def evict(kube: Kube, pod: Manifest) -> bool:
    """Evict a pod that runs, as `kubectl drain` does."""
    if pod["status"].get("phase") != "Running":
        return False
    where = {key: pod["metadata"][key] for key in ("name", "namespace")}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": where}
    url = f"/api/v1/namespaces/{where['namespace']}/pods/{where['name']}/eviction"
    kube.run("create", "--raw", url, "--filename", "-", stdin=json.dumps(eviction))
    return True
