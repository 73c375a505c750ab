"""Read a request and what belongs to it, with the user's own kubeconfig and rights."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, cast

import kr8s
from kr8s.objects import APIObject, ConfigMap, new_class

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
from dgdr_cli.errors import AlreadyThere, NotThere
from dgdr_cli.found import Found, FoundPlanner, Listed, Running
from dgdr_cli.lenient import Lenient
from dgdr_cli.prometheus import OTHERWISE, Prometheus
from dgdr_cli.prometheus_of_cluster import ask, installed_url
from dgdr_cli.refusals import CONFLICT, FORBIDDEN, NOT_FOUND, readable_errors, status_code
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
_BUDGET = new_class("GPUBudget", version="dgdr.dev/v1alpha1", plural="gpubudgets")

NOT_INSTALLED = (
    f"the kinds are not installed: this cluster serves {_DGDR.kind} neither as {_DGDR.version} "
    f"nor as {_BESIDE_DGDR.version}; --context names another one"
)


class KubeSource:
    """Reads through kr8s; implements ``dgdr_cli.found.Source``."""

    def __init__(self, context: str | None = None) -> None:
        self._context = context
        with readable_errors():
            self._api = kr8s.api(context=context)

    def find(self, name: str, namespace: str | None) -> Found | None:
        """Read a request; ``None`` when there is none of that name.

        Raises:
            NotThere: the cluster knows no requests.
            Unreachable: the cluster does not answer, or refuses.
            Unreadable: the request does not have the shape that this program knows.
        """
        with readable_errors():
            return self._find(name, namespace or str(self._api.namespace))

    def list_requests(self, namespace: str | None) -> tuple[Listed, ...]:
        """Read all requests of a namespace, in the order of their names.

        Raises:
            NotThere: the cluster knows no requests.
            Unreachable: the cluster does not answer, or refuses.
        """
        with readable_errors():
            there = self._requests(namespace or str(self._api.namespace))
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
            return self._with_neighbours(planner, where)

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
            beside = self._served(_BESIDE_DGDR, where, none_for=(NOT_FOUND, FORBIDDEN))
            requests = _DGDR if beside is None else _BESIDE_DGDR
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
                if status_code(exc) != CONFLICT:
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
        self,
        kind: type[APIObject],
        namespace: str,
        fields: dict[str, str] | None = None,
        none_for: tuple[int, ...] = (NOT_FOUND,),
    ) -> list[dict[str, Any]] | None:
        """Return the objects of a kind; None where the cluster does not have it."""
        try:
            return list(self._all(kind, namespace, fields))
        except kr8s.ServerError as exc:
            if status_code(exc) in none_for:
                return None
            raise

    def _with_neighbours(self, planner: SLAPlanner, namespace: str) -> FoundPlanner:
        spec, seen = planner.spec, Lenient()
        curves, shared = spec.profile.config_map_ref.name, spec.budget_ref
        found = seen.unless_refused("curves", lambda: self._get(ConfigMap, curves, namespace))
        budget = seen.unless_refused(
            "budget", lambda: self._budget(shared, namespace) if shared else None
        )
        target = seen.unless_refused(
            "target", lambda: self._deployment(spec.target_ref.name, namespace, seen)
        )
        return FoundPlanner(
            planner=planner,
            curves=None if found is None else found.get("data") or {},
            budget=budget,
            target=target,
        )

    def _requests(
        self, namespace: str, fields: dict[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the requests of both groups; users may have rights in one of them alone.

        Raises:
            NotThere: neither is served.
            kr8s.ServerError: those that are served are not for this user.
        """
        served, refused = False, None
        for kind in (_DGDR, _BESIDE_DGDR):
            try:
                there = self._served(kind, namespace, fields)
            except kr8s.ServerError as exc:
                if status_code(exc) != FORBIDDEN:
                    raise
                refused = exc
                continue
            served = served or there is not None
            yield from there or ()
        if not served:
            raise refused or NotThere(NOT_INSTALLED)

    def _find(self, name: str, namespace: str) -> Found | None:
        manifest = next(self._requests(namespace, {"metadata.name": name}), None)
        if manifest is None:
            return None
        seen = Lenient()
        # The same kind, whichever group it is served in.
        known = {**manifest, "apiVersion": _DGDR.version}
        request = seen.parsed("request", DynamoGraphDeploymentRequest, known)
        dgd = request.status.dgd_name or dgd_name(name)
        deployment = seen.unless_refused(
            "deployment", lambda: self._deployment(dgd, namespace, seen)
        )
        planner = seen.unless_refused("planner", lambda: self._planner(dgd, namespace, seen))
        report = seen.unless_refused("report", lambda: self._report(name, namespace))
        points = seen.unless_refused("points", lambda: seen.points(self._points(name, namespace)))
        return Found(
            request=request,
            phase=(manifest.get("status") or {}).get("phase"),
            points=points or (),
            report=report or Report(),
            deployment=deployment,
            planner=planner,
            remarks=tuple(seen.remarks),
        )

    def _deployment(self, name: str, namespace: str, seen: Lenient) -> DynamoGraphDeployment | None:
        found = self._graph(name, namespace)
        return seen.parsed("deployment", DynamoGraphDeployment, found) if found else None

    def _planner(self, name: str, namespace: str, seen: Lenient) -> SLAPlanner | None:
        found = self._get(_SLAP, name, namespace)
        return seen.parsed("planner", SLAPlanner, found) if found else None

    def _budget(self, name: str, namespace: str) -> GPUBudget | None:
        found = self._get(_BUDGET, name, namespace)
        return GPUBudget.parse(found) if found else None

    def _report(self, name: str, namespace: str) -> Report:
        output = self._get(ConfigMap, output_config_map(name), namespace) or {}
        return report_of(output.get("data") or {})

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

    def _points(self, name: str, namespace: str) -> Iterator[str]:
        """Yield the points of all ConfigMaps; they are numbered without a gap."""
        index = 0
        while stored := self._get(ConfigMap, points_config_map(name, index), namespace):
            yield from (stored.get("data") or {}).values()
            index += 1


def already_there(manifest: Mapping[str, Any]) -> str:
    """Say which object is not made because there is one, and what helps."""
    meta, kind = manifest["metadata"], manifest["kind"]
    where = f" in namespace {meta['namespace']}" if meta.get("namespace") else ""
    return (
        f"{kind} {meta['name']} is there already{where}; without --apply it is only printed: put "
        "that through `kubectl apply -f -` to change it, or delete it first"
    )


def _has_curves(config_map: Mapping[str, Any]) -> bool:
    data = config_map.get("data") or {}
    return any(data.get(key) for key in (PREFILL_JSON_KEY, DECODE_JSON_KEY))


def _listed(manifest: Mapping[str, Any]) -> Listed:
    """Return what a list shows; a spec or a status that cannot be read is no obstacle."""
    seen, status = Lenient(), manifest.get("status") or {}
    read = seen.unless_refused("status", lambda: seen.parsed("status", DGDRStatus, status))
    return Listed(
        name=manifest["metadata"]["name"],
        status=read or DGDRStatus(),
        phase=status.get("phase"),
    )


def report_of(output: Mapping[str, str]) -> Report:
    """Return the profiling run's report; an empty one as long as it runs."""
    text = output.get(OutputKey.REPORT)
    return Report.model_validate_json(text) if text else Report()
