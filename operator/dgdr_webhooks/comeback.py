"""``python -m dgdr_webhooks.comeback``: after an install, kinds that were left are converted again.

Only where cert-manager makes the certificates: pods that make their own put it back themselves.
"""

import sys

from dgdr_kube.kinds import CRD
from dgdr_kube.ports import Cluster
from dgdr_webhooks.adapters.authority import CONVERTED, MANAGER
from dgdr_webhooks.core.farewell import comeback
from dgdr_webhooks.core.trust import Place
from dgdr_webhooks.farewell import main
from dgdr_webhooks.settings import Webhooks


async def come_back(cluster: Cluster, own: Webhooks) -> list[str]:
    """Put our webhook into each CRD that an installation of our name was taken out of.

    Whom to trust is written by cert-manager, which the CRD's annotation asks for.
    """
    place = Place(namespace=own.namespace, service=own.service, hosts=own.hosts)
    for name in CONVERTED:
        crd = await cluster.get(CRD, None, name)
        patch = comeback(crd, place, None) if crd else None
        if crd and patch:
            version = crd["metadata"]["resourceVersion"]
            await cluster.patch(CRD, None, name, patch, MANAGER, version)
    return []


if __name__ == "__main__":
    sys.exit(main(come_back, "CRDs are converted by this installation"))
