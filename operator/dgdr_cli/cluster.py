"""Read a request and what belongs to it, with the user's own kubeconfig and rights."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, cast

import kr8s
from kr8s.objects import APIObject, ConfigMap, new_class
from pydantic import ValidationError

from dgdr_api.conversion import BETA, converted
from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.dgdr_v1beta1 import DGDRStatus, DynamoGraphDeploymentRequest
from dgdr_api.models.gpu_budget import GPUBudget
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.names import (
    DECODE_JSON_KEY,
    PREFILL_JSON_KEY,
    OutputKey,
    dgd_name,
    output_config_map,
    points_config_map,
)
from dgdr_api.points import Point
from dgdr_cli.errors import AlreadyThere, NotThere
from dgdr_cli.found import Found, FoundPlanner, Listed, Running
from dgdr_cli.prometheus import OTHERWISE, Prometheus
from dgdr_cli.prometheus_of_cluster import ask, installed_url
from dgdr_cli.refusals import readable_errors
from dgdr_cli.report import Report

_DGDR = new_class(
    "DynamoGraphDeploymentRequest",
    version="nvidia.com/v1beta1",
    plural="dynamographdeploymentrequests",
)
_BESIDE_DGDR = new_class(
    "DynamoGraphDeploymentRequest",
    version="dgdr.dev/v1beta1",
    plural="dynamographdeploymentrequests",
)
_DGD = new_class(
    "DynamoGraphDeployment", version="nvidia.com/v1beta1", plural="dynamographdeployments"
)
_OLD_DGD = new_class(
    "DynamoGraphDeployment", version="nvidia.com/v1alpha1", plural="dynamographdeployments"
)
_SLAP = new_class("SLAPlanner", version="dgdr.dev/v1alpha1", plural="slaplanners")
_NOT_FOUND, _CONFLICT = 404, 409
_BUDGET = new_class("GPUBudget", version="dgdr.dev/v1alpha1", plural="gpubudgets")


class KubeSource:
    """Reads through kr8s; implements ``dgdr_cli.found.Source``."""

    def __init__(self, context: str | None = None) -> None:
        self._context = context
        with readable_errors():
            self._api = kr8s.api(context=context)

    def find(self, name: str, namespace: str | None) -> Found | None:
        """Read a request; ``None`` when there is none of that name.

        Raises:
            Unreachable: the cluster does not answer, or refuses.
            Unreadable: an object does not have the shape that this program knows.
        """
        with readable_errors():
            return self._find(name, namespace or str(self._api.namespace))

    def list_requests(self, namespace: str | None) -> tuple[Listed, ...]:
        """Read all requests of a namespace, in the order of their names.

        Raises:
            Unreachable: the cluster does not answer, or refuses.
        """
        with readable_errors():
            where = namespace or str(self._api.namespace)
            there = [
                *(self._served(_DGDR, where) or ()),
                *(self._served(_BESIDE_DGDR, where) or ()),
            ]
            listed = (_listed(manifest) for manifest in there)
            return tuple(sorted(listed, key=lambda one: one.name))

    def find_planner(self, name: str, namespace: str | None) -> FoundPlanner | None:
        """Read a planner and what it goes by; ``None``: there is no such planner.

        Raises:
            Unreachable: the cluster does not answer, or refuses.
            Unreadable: an object does not have the shape that this program knows.
        """
        with readable_errors():
            where = namespace or str(self._api.namespace)
            manifest = self._get(_SLAP, name, where)
            if manifest is None:
                return None
            planner = SLAPlanner.parse(manifest)
            curves = self._get(ConfigMap, planner.spec.profile.config_map_ref.name, where)
            data = None if curves is None else curves.get("data") or {}
            shared = planner.spec.budget_ref
            budget = self._budget(shared, where) if shared else None
            target = self._target(planner.spec.target_ref.name, where)
            return FoundPlanner(planner=planner, curves=data, budget=budget, target=target)

    def prometheus(self, url: str | None) -> Prometheus:
        """Return the way to a Prometheus; None is the installation's.

        Raises:
            NotThere: nobody names one that this user may read of.
        """
        url = url or installed_url(self._api)
        if url is None:
            told = "neither spec.metrics nor an installation that you may read names a Prometheus"
            raise NotThere(f"{told}; {OTHERWISE}")
        return Prometheus(url, partial(ask, self._context, url.rstrip("/")))

    def find_graph(self, name: str, namespace: str | None) -> Running | None:
        """Read a deployment of either version, and which ConfigMaps beside it hold curves.

        Raises:
            Unreachable: the cluster does not answer, or refuses.
        """
        with readable_errors():
            where = namespace or str(self._api.namespace)
            dgd = self._graph(name, where)
            if dgd is None:
                return None
            maps = self._all(ConfigMap, where)
            held = frozenset(m["metadata"]["name"] for m in maps if _has_curves(m))
            is_beside = self._served(_BESIDE_DGDR, where) is not None
            requests = _BESIDE_DGDR if is_beside else _DGDR
            return Running(dgd=dgd, curves=held, requests=requests.version)

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Make an object.

        Raises:
            AlreadyThere: there is one of that name.
            Unreachable: the cluster refuses.
        """
        kinds = {_SLAP.kind: _SLAP, _DGDR.kind: _DGDR}
        kind = kinds[manifest["kind"]]
        if manifest["apiVersion"] == _BESIDE_DGDR.version:
            kind = _BESIDE_DGDR
        with readable_errors():
            try:
                kind(dict(manifest), api=self._api).create()
            except kr8s.ServerError as exc:
                if _status(exc) != _CONFLICT:
                    raise
                raise AlreadyThere(already_there(manifest)) from exc

    def _graph(self, name: str, namespace: str) -> dict[str, Any] | None:
        """Return a deployment as v1beta1, in whichever version it is served."""
        named = {"metadata.name": name}
        for kind in (_DGD, _OLD_DGD):
            found = self._served(kind, namespace, named)
            if found is not None:
                manifest = {"apiVersion": kind.version, "kind": kind.kind}
                return converted({**found[0], **manifest}, BETA) if found else None
        return None

    def _served(
        self, kind: type[APIObject], namespace: str, fields: dict[str, str] | None = None
    ) -> list[dict[str, Any]] | None:
        """Return the objects of a kind; None where the cluster does not have it."""
        try:
            return list(self._all(kind, namespace, fields))
        except kr8s.ServerError as exc:
            if _status(exc) == _NOT_FOUND:
                return None
            raise

    def _budget(self, name: str, namespace: str) -> GPUBudget | None:
        """Return a shared budget; None where it is not there, or is not for this user to read."""
        try:
            found = self._get(_BUDGET, name, namespace)
            return GPUBudget.parse(found) if found else None
        except (kr8s.ServerError, ValidationError):
            return None

    def _target(self, name: str, namespace: str) -> DynamoGraphDeployment | None:
        """Return what a planner scales; None where it is not there, or is not for this user."""
        try:
            found = self._graph(name, namespace)
            return DynamoGraphDeployment.parse(found) if found else None
        except (kr8s.ServerError, ValidationError):
            return None

    def _find(self, name: str, namespace: str) -> Found | None:
        named = {"metadata.name": name}
        there = self._served(_DGDR, namespace, named) or self._served(
            _BESIDE_DGDR, namespace, named
        )
        if not there:
            return None
        manifest = there[0]
        # The same kind, whichever group it is served in.
        request = DynamoGraphDeploymentRequest.parse({**manifest, "apiVersion": _DGDR.version})
        dgd = request.status.dgd_name or dgd_name(name)
        deployment = self._graph(dgd, namespace)
        planner = self._get(_SLAP, dgd, namespace)
        output = self._get(ConfigMap, output_config_map(name), namespace) or {}
        return Found(
            request=request,
            points=tuple(self._points(name, namespace)),
            report=report_of(output.get("data") or {}),
            deployment=DynamoGraphDeployment.parse(deployment) if deployment else None,
            planner=SLAPlanner.parse(planner) if planner else None,
        )

    def _get(
        self, kind: type[APIObject] | type[ConfigMap], name: str, namespace: str
    ) -> dict[str, Any] | None:
        # Not kind.get(): what is not there, it looks for again and again, for two seconds.
        return next(self._all(kind, namespace, {"metadata.name": name}), None)

    def _all(
        self,
        kind: type[APIObject] | type[ConfigMap],
        namespace: str,
        fields: dict[str, str] | None = None,
    ) -> Iterator[dict[str, Any]]:
        found = self._api.get(kind, namespace=namespace, field_selector=fields, raw=True)
        return cast("Iterator[dict[str, Any]]", found)

    def _points(self, name: str, namespace: str) -> Iterator[Point]:
        """Yield the points of all ConfigMaps; they are numbered without a gap."""
        index = 0
        while stored := self._get(ConfigMap, points_config_map(name, index), namespace):
            yield from (Point.from_text(text) for text in (stored.get("data") or {}).values())
            index += 1


def already_there(manifest: Mapping[str, Any]) -> str:
    """Say which object is not made because there is one, and what helps."""
    meta, kind = manifest["metadata"], manifest["kind"]
    where = f" in namespace {meta['namespace']}" if meta.get("namespace") else ""
    return (
        f"{kind} {meta['name']} is there already{where}; without --apply it is only printed: put "
        "that through `kubectl apply -f -` to change it, or delete it first"
    )


def _status(exc: kr8s.ServerError) -> int | None:
    return None if exc.response is None else exc.response.status_code


def _has_curves(config_map: Mapping[str, Any]) -> bool:
    data = config_map.get("data") or {}
    return any(data.get(key) for key in (PREFILL_JSON_KEY, DECODE_JSON_KEY))


def _listed(manifest: Mapping[str, Any]) -> Listed:
    """Return what a list shows; a spec that this program cannot read is no obstacle."""
    status = DGDRStatus.model_validate(manifest.get("status") or {})
    return Listed(name=manifest["metadata"]["name"], status=status)


def report_of(output: Mapping[str, str]) -> Report:
    """Return the profiling run's report; an empty one as long as it runs."""
    text = output.get(OutputKey.REPORT)
    return Report.model_validate_json(text) if text else Report()
