"""What the installation allows pods of deployments, and asks of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dgdr_api.names import PROFILING_SERVICE_ACCOUNT
from dgdr_operator.core.pod_security import RESTRICTED_CONTAINER, RESTRICTED_POD

ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRules:
    """Accounts that pods may run as, and how much they are held down.

    ``user_id`` is None where the namespace picks one, as OpenShift does. ``restricted`` gives
    workers what Kubernetes' restricted Pod Security Standard wants, where their template does not
    say otherwise.
    """

    service_accounts: tuple[str, ...] = (ANY,)
    restricted: bool = False
    user_id: int | None = 1000

    def refusal(self, pod: Mapping[str, Any]) -> str | None:
        """Say why pods may not run as the account of their template; None when they may."""
        for field in ("serviceAccountName", "serviceAccount"):
            account = pod.get(field)
            if not account:
                continue
            if str(account).startswith(PROFILING_SERVICE_ACCOUNT):
                return f"{field} {account} is a profiling Job's; leave it out"
            if not {ANY, account} & set(self.service_accounts):
                return (
                    f"{field} {account} is not allowed; leave it out, or have the chart's "
                    "security.serviceAccounts list it"
                )
        return None

    def pod_context(self) -> dict[str, Any]:
        """Return the security context of pods that have none of their own.

        Images of upstream run as a user of group 1000, which must be able to write volumes.
        """
        group = {} if self.user_id is None else {"fsGroup": self.user_id}
        if not self.restricted:
            return group
        user = {} if self.user_id is None else {"runAsUser": self.user_id}
        return {**RESTRICTED_POD, **user, **group}

    def container_context(self) -> dict[str, Any]:
        """Return the security context of containers, below what their template says."""
        return dict(RESTRICTED_CONTAINER) if self.restricted else {}
