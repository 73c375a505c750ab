"""CustomResourceDefinitions, rendered from the models.

``CRDS`` is the list of what we ship. A kind may have several versions, each with its own model;
one of them is stored.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from dgdr_api.models.cel import CelRule, extension
from dgdr_api.structural import structural_schema

PART_OF = "dgdr-operator"

CONVERT_PATH = "/convert"
# Where the webhooks are unless the chart says otherwise: it puts its own names in their place.
WEBHOOK_SERVICE, WEBHOOK_NAMESPACE = "dgdr-operator-webhooks", "dgdr-system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of ``kubectl get``; those with a priority show with ``-o wide`` only."""

    name: str
    path: str
    type: str = "string"
    description: str = ""
    priority: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the entry of ``additionalPrinterColumns``."""
        made: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        if self.description:
            made["description"] = self.description
        if self.priority:
            made["priority"] = self.priority
        return made


AGE_COLUMN = Column(name="Age", type="date", path=".metadata.creationTimestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a kind.

    ``root_rules`` are the rules that need the object's name or its status. ``warning`` marks the
    version as deprecated; the API server sends it to every user of the version.
    """

    name: str
    model: type[BaseModel]
    served: bool = True
    storage: bool = True
    columns: tuple[Column, ...] = ()
    root_rules: tuple[CelRule, ...] = ()
    warning: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Paths of the scale subresource."""

    spec_replicas: str = ".spec.replicas"
    status_replicas: str = ".status.replicas"
    selector: str = ".status.selector"

    def to_json(self) -> dict[str, str]:
        """Return the entry of ``subresources``."""
        return {
            "specReplicasPath": self.spec_replicas,
            "statusReplicasPath": self.status_replicas,
            "labelSelectorPath": self.selector,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Crd:
    """A kind with its versions."""

    group: str
    kind: str
    plural: str
    short_names: tuple[str, ...] = ()
    versions: tuple[Version, ...]
    scale: Scale | None = None
    categories: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the CustomResourceDefinition."""
        return f"{self.plural}.{self.group}"


def render(crd: Crd) -> dict[str, Any]:
    """Return the manifest of a CustomResourceDefinition."""
    if sum(version.storage for version in crd.versions) != 1:
        raise ValueError(f"{crd.name}: exactly one version is stored")
    names: dict[str, Any] = {
        "kind": crd.kind,
        "listKind": f"{crd.kind}List",
        "plural": crd.plural,
        "singular": crd.kind.lower(),
    }
    if crd.short_names:
        names["shortNames"] = list(crd.short_names)
    if crd.categories:
        names["categories"] = list(crd.categories)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": crd.name, "labels": {"app.kubernetes.io/part-of": PART_OF}},
        "spec": {
            "group": crd.group,
            "names": names,
            "scope": "Namespaced",
            "conversion": _conversion(crd),
            "versions": [_render_version(crd, version) for version in crd.versions],
        },
    }


def _conversion(crd: Crd) -> dict[str, Any]:
    """Return who converts; versions that differ must not be taken for each other.

    A request for a version that is not stored fails while nobody converts; the stored one needs
    nobody.
    """
    if len(crd.versions) == 1:
        return {"strategy": "None"}
    service = {"name": WEBHOOK_SERVICE, "namespace": WEBHOOK_NAMESPACE, "path": CONVERT_PATH}
    return {
        "strategy": "Webhook",
        "webhook": {
            "clientConfig": {"service": service},
            "conversionReviewVersions": ["v1"],
        },
    }


def _render_version(crd: Crd, version: Version) -> dict[str, Any]:
    schema = _root_schema(version)
    made: dict[str, Any] = {
        "name": version.name,
        "served": version.served,
        "storage": version.storage,
        "schema": {"openAPIV3Schema": schema},
    }
    if version.warning:
        made |= {"deprecated": True, "deprecationWarning": version.warning}
    subresources: dict[str, Any] = {}
    if "status" in schema["properties"]:
        subresources["status"] = {}
    if crd.scale:
        subresources["scale"] = crd.scale.to_json()
    if subresources:
        made["subresources"] = subresources
    if version.columns:
        made["additionalPrinterColumns"] = [column.to_json() for column in version.columns]
    return made


def _root_schema(version: Version) -> dict[str, Any]:
    """Return the schema of the whole object; Kubernetes itself knows what metadata is."""
    schema = structural_schema(version.model)
    properties = {
        "apiVersion": {"type": "string", "description": "Version of the kind."},
        "kind": {"type": "string", "description": "Kind of the object."},
        # The name is declared only for rules to blame it.
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
    }
    parts = {
        name: part for name, part in schema["properties"].items() if name in ("spec", "status")
    }
    made = {
        "type": "object",
        "description": schema.get("description", ""),
        "required": ["spec"],
        "properties": properties | parts,
    }
    return made | (extension(*version.root_rules) if version.root_rules else {})
