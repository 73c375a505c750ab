"""Both versions of the kinds through the real webhooks, and what a user sees of them.

The API server of a light cluster calls a process on this machine by its URL; all else is the
chart's own.
"""

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dgdr_api.conversion import converted
from dgdr_api.conversion.kept import same
from dgdr_api.conversion.room import MOST_BYTES
from dgdr_webhooks.adapters.authority import written
from dgdr_webhooks.core.certificates import Terms, renewed
from hack.light_webhooks import NAME, NAMESPACE, LightWebhooks, free_port
from hack.rest import Rest
from support.admitted_objects import accepted
from support.any_objects import SPECS, objects
from support.cluster import TestCluster, cluster
from support.operator_process import until
from support.webhooks import Balancer, Objects, light_webhooks

pytestmark = pytest.mark.integration

REQUEST, GRAPH = "DynamoGraphDeploymentRequest", "DynamoGraphDeployment"
ADAPTER = "DynamoGraphDeploymentScalingAdapter"
ALPHA, BETA = "nvidia.com/v1alpha1", "nvidia.com/v1beta1"
# Checked is what a user writes; free takes whatever the schema takes.
CHECKED, FREE = "checked", "free"
IMAGE = "registry.test/vllm-runtime:1.0.2"
CHECK_S = 1.0


@pytest.fixture(scope="module")
def where() -> Iterator[TestCluster]:
    """A cluster of our own: who converts is of the whole cluster."""
    with cluster(f"webhooks-{os.getpid()}") as booted:
        for name in (CHECKED, FREE):
            booted.kubectl("create", "namespace", name)
        yield booted


@pytest.fixture(scope="module")
def behind() -> list[int]:
    """Ports of two replicas."""
    return [free_port(), free_port()]


@pytest.fixture(scope="module")
def webhooks(
    where: TestCluster, behind: list[int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LightWebhooks]:
    values = ("--set", f"namespaces={{{CHECKED}}},admission.defaultImage={IMAGE}")
    port = free_port()
    balancer = Balancer(port, behind)
    with light_webhooks(
        where,
        tmp_path_factory.mktemp("webhooks"),
        *values,
        port=port,
        behind=behind,
        certificate={"checkSeconds": CHECK_S},
        defaultImage=IMAGE,
        drainSeconds=1,
    ) as own:
        yield own
    balancer.close()


@pytest.fixture(scope="module")
def rest(where: TestCluster) -> Iterator[Rest]:
    one = Rest(where.kubeconfig)
    yield one
    one.close()


@pytest.fixture
def checked(rest: Rest, webhooks: LightWebhooks) -> Objects:
    return Objects(rest, CHECKED)


@pytest.fixture
def free(rest: Rest, webhooks: LightWebhooks) -> Objects:
    return Objects(rest, FREE)


def made(kind: str, version: str, name: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def service(kind: str = "worker", **fields: Any) -> dict[str, Any]:
    return {
        "componentType": kind,
        "extraPodSpec": {"mainContainer": {"image": IMAGE, "args": ["--model", "m"]}},
        **fields,
    }


def old_request(name: str, **config: Any) -> dict[str, Any]:
    profiling = {"profilerImage": IMAGE, "config": config}
    return made(
        REQUEST, ALPHA, name, {"model": "m", "backend": "vllm", "profilingConfig": profiling}
    )


# -- versions


def test_what_is_written_as_v1alpha1_is_stored_as_v1beta1_and_reads_back(checked: Objects) -> None:
    given_ = old_request(
        "old",
        sla={"ttft": 200, "itl": 20, "isl": 3000, "osl": 150},
        deployment={"modelCache": {"pvcName": "c", "pvcPath": "m", "mountPath": "/models"}},
        sweep={"use_ai_configurator": True},
        planner={"planner_min_endpoint": 2},
    )
    answer = checked.create(given_)
    assert answer.ok, answer.message
    assert any("v1alpha1 DynamoGraphDeploymentRequest is deprecated" in w for w in answer.warnings)
    stored = checked.get(REQUEST, "v1beta1", "old")
    assert stored["spec"]["sla"] == {"ttft": 200, "itl": 20}
    assert stored["spec"]["workload"] == {"isl": 3000, "osl": 150}
    assert stored["spec"]["modelCache"] == {
        "pvcName": "c",
        "pvcModelPath": "m",
        "pvcMountPath": "/models",
    }
    assert stored["spec"]["features"] == {"planner": {"planner_min_endpoint": 2}}
    back = checked.get(REQUEST, "v1alpha1", "old")
    assert back["spec"] == given_["spec"]
    assert "annotations" not in back["metadata"]


def test_an_adapter_names_its_component_in_the_words_of_each_version(free: Objects) -> None:
    spec = {"replicas": 2, "dgdRef": {"name": "g", "serviceName": "Decode"}}
    assert free.create(made(ADAPTER, ALPHA, "g-decode", spec)).ok
    beta = free.get(ADAPTER, "v1beta1", "g-decode")["spec"]["dgdRef"]
    assert beta == {"name": "g", "componentName": "Decode"}
    assert free.get(ADAPTER, "v1alpha1", "g-decode")["spec"] == spec


def test_an_adapter_scales_through_either_version(free: Objects, where: TestCluster) -> None:
    spec = {"replicas": 2, "dgdRef": {"name": "g", "componentName": "prefill"}}
    assert free.create(made(ADAPTER, BETA, "g-prefill", spec)).ok
    for replicas, version in ((3, "v1alpha1"), (4, "v1beta1")):
        resource = f"dynamographdeploymentscalingadapters.{version}.nvidia.com/g-prefill"
        where.kubectl("scale", "-n", FREE, resource, f"--replicas={replicas}")
        assert free.get(ADAPTER, "v1beta1", "g-prefill")["spec"]["replicas"] == replicas


SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)
MANY = settings(max_examples=45, deadline=None, suppress_health_check=SLOW, database=None)
COUNT = iter(range(1_000_000))


@pytest.mark.parametrize("kind_and_version", SPECS, ids="-".join)
@given(data=st.data())
@MANY
def test_whatever_the_schema_takes_reads_back_from_the_other_version(
    data: st.DataObject, kind_and_version: tuple[str, str], free: Objects
) -> None:
    kind, version = kind_and_version
    drawn = json.loads(json.dumps(data.draw(objects(kind, version))))
    given_ = accepted({key: one for key, one in drawn.items() if key != "status"})
    given_["metadata"] = {**given_["metadata"], "name": f"x{next(COUNT)}"}
    answer = free.create(given_)
    if answer.status == 422:  # what only CEL or a required field says
        return
    assert answer.ok, answer.message
    written, name = answer.body, given_["metadata"]["name"]
    other = "v1beta1" if version == "v1alpha1" else "v1alpha1"
    there = free.get(kind, other, name)
    assert there["metadata"]["uid"] == written["metadata"]["uid"]
    assert same(free.get(kind, version, name)["spec"], written["spec"])
    # Written anew as it was read, in the other version: nothing changes.
    again = free.replace(there)
    if again.status == 422:
        return
    assert again.ok, again.message
    assert same(free.get(kind, version, name)["spec"], written["spec"]), json.dumps(given_)


def test_an_edit_in_one_version_changes_that_field_in_the_other(checked: Objects) -> None:
    services = {
        "Frontend": service("frontend", replicas=1, ingress={"enabled": True}),
        "decode": service(
            replicas=2, resources={"limits": {"cpu": "1000m", "gpu": "2"}}, envFromSecret="token"
        ),
    }
    given_ = made(GRAPH, ALPHA, "edited", {"services": services, "envs": [{"name": "A"}]})
    assert checked.create(given_).ok
    beta = checked.get(GRAPH, "v1beta1", "edited")
    beta["spec"]["components"][1]["replicas"] = 5
    answer = checked.replace(beta)
    assert answer.ok, answer.message
    alpha = checked.get(GRAPH, "v1alpha1", "edited")["spec"]
    services["decode"]["replicas"] = 5
    assert alpha == given_["spec"]
    assert checked.patch(
        GRAPH, "v1alpha1", "edited", {"spec": {"services": {"decode": {"replicas": 3}}}}
    ).ok
    after = checked.get(GRAPH, "v1beta1", "edited")["spec"]
    beta["spec"]["components"][1]["replicas"] = 3
    assert after == beta["spec"]


def test_server_side_apply_of_both_versions_shares_one_object(checked: Objects) -> None:
    first = made(GRAPH, ALPHA, "shared", {"services": {"w": service(replicas=1)}})
    answer = checked.apply(first, "alpha-team")
    assert answer.ok, answer.message
    component = {"name": "w", "sharedMemorySize": "16Gi"}
    answer = checked.apply(made(GRAPH, BETA, "shared", {"components": [component]}), "beta-team")
    assert answer.ok, answer.message
    first["spec"]["services"]["w"]["replicas"] = 4
    answer = checked.apply(first, "alpha-team")
    assert answer.ok, answer.message
    (found,) = checked.get(GRAPH, "v1beta1", "shared")["spec"]["components"]
    assert (found["replicas"], found["sharedMemorySize"]) == (4, "16Gi")


def test_a_list_of_the_old_version_has_all_objects(free: Objects) -> None:
    for number in range(20):
        assert free.create(made(GRAPH, ALPHA, f"l{number}", {"services": {"w": service()}})).ok
    found = free.read(GRAPH, "v1alpha1")
    assert found.ok, found.message
    names = {one["metadata"]["name"] for one in found.body["items"]}
    assert {f"l{number}" for number in range(20)} <= names


# -- admission


def test_a_request_without_an_image_gets_the_installations(checked: Objects) -> None:
    for version in (BETA, ALPHA):
        name = f"bare-{version[-5:]}"
        answer = checked.create(made(REQUEST, version, name, {"model": "m", "backend": "vllm"}))
        assert answer.ok, answer.message
        assert checked.get(REQUEST, "v1beta1", name)["spec"]["image"] == IMAGE
    profiling = checked.get(REQUEST, "v1alpha1", "bare-lpha1")["spec"]["profilingConfig"]
    # No target was named, and none is there (0040).
    assert profiling == {"profilerImage": IMAGE}


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (
            made(REQUEST, BETA, "q", {"model": "m", "searchStrategy": "thorough"}),
            'spec.searchStrategy: Invalid value: "object": is incompatible with spec.backend "auto"'
            "; set spec.backend to a specific backend (sglang, trtllm, or vllm)",
        ),
        (
            made(GRAPH, BETA, "q", {"components": [{"name": "w", "podTemplate": {"spec": []}}]}),
            "spec.components[0].podTemplate.spec: Invalid value: []: must be an object",
        ),
        (
            made(GRAPH, ALPHA, "q", {"services": {"Decode": {"componentType": "worker"}}}),
            'admission webhook "validation.dgdr.dev" denied the request: '
            "spec.services[Decode].extraPodSpec.mainContainer.image: Required value: is required",
        ),
        (
            made(REQUEST, BETA, "1q", {"model": "m", "image": IMAGE}),
            'metadata.name: Invalid value: "1q": begin with a letter: Services of that name must',
        ),
    ],
)
def test_a_refusal_names_field_value_and_cure(
    checked: Objects, manifest: dict[str, Any], says: str
) -> None:
    answer = checked.create(manifest)
    assert answer.status in (403, 422), answer.body
    assert says in answer.message


def long_override(name: str, chars: int) -> dict[str, Any]:
    component = {"name": "w", "podTemplate": {"spec": {"containers": [{"name": "x" * chars}]}}}
    override = {"apiVersion": BETA, "kind": GRAPH, "spec": {"components": [component]}}
    spec = {"model": "m", "image": IMAGE, "overrides": {"dgd": override}}
    return made(REQUEST, BETA, name, spec)


def test_what_has_just_room_reads_back_and_one_byte_more_is_refused(checked: Objects) -> None:
    annotations = converted(long_override("long", 0), ALPHA)["metadata"]["annotations"]
    room = MOST_BYTES - sum(len(key) + len(one) for key, one in annotations.items())
    answer = checked.create(long_override("long", room))
    assert answer.ok, answer.message
    seen = checked.read(REQUEST, "v1alpha1", "long")
    assert seen.ok, seen.message
    answer = checked.create(long_override("longer", room + 1))
    assert (
        "spec.overrides.dgd.spec.components: Too long: what nvidia.com/v1alpha1" in answer.message
    )


def test_a_deployment_of_v1alpha1_without_room_is_refused(checked: Objects) -> None:
    envs = [{"name": f"E{number}", "value": "x" * 95} for number in range(60)]
    services = {f"w{number}": service(envs=envs) for number in range(20)}
    answer = checked.create(made(GRAPH, ALPHA, "long", {"services": services}))
    assert not answer.ok
    assert "spec.services: Too long: what nvidia.com/v1beta1 cannot say" in answer.message


def test_warnings_reach_the_user(checked: Objects) -> None:
    answer = checked.create(old_request("warned", sweep={"dryRun": True}), "?dryRun=All")
    assert answer.ok, answer.message
    assert "spec.profilingConfig.config.sweep: kept, without effect" in answer.warnings
    component = {"name": "w", "modelRef": {"name": "m"}, "podTemplate": pod()}
    answer = checked.create(made(GRAPH, BETA, "warned", {"components": [component]}))
    assert answer.ok, answer.message
    assert [w for w in answer.warnings if w.startswith("spec.components[w].modelRef")]


def pod() -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "main", "image": IMAGE}]}}


def test_an_old_fault_blocks_no_unrelated_edit(
    webhooks: LightWebhooks, rest: Rest, where: TestCluster
) -> None:
    """It came where nobody checked: in a namespace of its own."""
    where.kubectl("create", "namespace", "later")
    later = Objects(rest, "later")
    assert later.create(made(GRAPH, BETA, "bad", {"components": [{"name": "w"}]})).ok
    change = json.dumps(
        [
            {
                "op": "add",
                "path": "/webhooks/0/namespaceSelector/matchExpressions/0/values/-",
                "value": "later",
            }
        ]
    )
    where.kubectl("patch", "validatingwebhookconfiguration", NAME, "--type=json", "-p", change)
    until(
        "the webhook to be asked in that namespace",
        lambda: (
            not later.create(
                made(GRAPH, BETA, "new", {"components": [{"name": "w"}]}), "?dryRun=All"
            ).ok
        ),
    )
    edited = later.patch(GRAPH, "v1beta1", "bad", {"spec": {"backendFramework": "vllm"}})
    assert edited.ok, edited.message
    bad = {"spec": {"components": [{"name": "w"}, {"name": "x"}]}}
    assert "spec.components[1]" in later.patch(GRAPH, "v1beta1", "bad", bad).message


def test_a_request_in_use_is_locked_in_v1alpha1_too(checked: Objects, where: TestCluster) -> None:
    assert checked.create(old_request("used", sla={"isl": 100})).ok
    status = '{"status": {"phase": "Profiling"}}'
    where.kubectl(
        *("patch", "dgdr", "used", "-n", CHECKED, "--subresource=status", "--type=merge"),
        *("-p", status),
    )
    answer = checked.patch(REQUEST, "v1alpha1", "used", {"spec": {"model": "other"}})
    assert (
        'spec: Forbidden: updates are forbidden while the resource is in phase "Profiling"; '
        "delete and recreate the resource to change its spec"
    ) in answer.message


# -- certificates and replicas; from here on in the order of the file


def test_a_certificate_is_replaced_while_serving(
    where: TestCluster, webhooks: LightWebhooks, free: Objects, behind: list[int]
) -> None:
    assert free.create(made(GRAPH, ALPHA, "steady", {"services": {"w": service()}})).ok
    before = ssl.get_server_certificate(("127.0.0.1", behind[0]))
    starts = [process.pid for process in webhooks.processes]
    patch = '[{"op": "remove", "path": "/data/tls.crt"}]'
    where.kubectl("patch", "secret", NAME, "-n", NAMESPACE, "--type=json", "-p", patch)

    def replaced() -> bool:
        free.get(GRAPH, "v1alpha1", "steady")
        shown = {ssl.get_server_certificate(("127.0.0.1", port)) for port in behind}
        return before not in shown and len(shown) == 1

    until("a new certificate in both replicas", replaced)
    assert [process.pid for process in webhooks.processes if process.poll() is None] == starts


def test_an_expired_certificate_heals_without_a_restart(
    where: TestCluster, webhooks: LightWebhooks, free: Objects, behind: list[int]
) -> None:
    names = (f"{NAME}.{NAMESPACE}.svc", f"{NAME}.{NAMESPACE}.svc.cluster.local", webhooks.host)
    long_ago = datetime.now(UTC) - timedelta(days=200)
    data = written(renewed(None, Terms(names=names), long_ago))
    before = ssl.get_server_certificate(("127.0.0.1", behind[0]))
    where.kubectl(
        *("patch", "secret", NAME, "-n", NAMESPACE, "--type=merge"),
        *("-p", json.dumps({"data": data})),
    )
    begun_s = time.monotonic()
    until(
        "a certificate of another authority that the API server accepts",
        lambda: (
            ssl.get_server_certificate(("127.0.0.1", behind[0])) != before
            and free.create(
                made(GRAPH, ALPHA, f"healed-{time.monotonic_ns()}", {"services": {"w": service()}})
            ).ok
        ),
    )
    assert time.monotonic() - begun_s < 60
    assert all(process.poll() is None for process in webhooks.processes)


def test_the_loss_of_one_replica_is_got_over(webhooks: LightWebhooks, free: Objects) -> None:
    assert free.create(made(GRAPH, ALPHA, "kept", {"services": {"w": service()}})).ok
    webhooks.processes[0].kill()
    failures = 0
    for number in range(40):
        made_ = made(GRAPH, ALPHA, f"after-{number}", {"services": {"w": service()}})
        failures += not free.create(made_).ok
    # What was on its way in the connection that broke is lost, and no more.
    assert failures <= 2
    assert free.get(GRAPH, "v1alpha1", "kept")


def test_without_any_replica_the_stored_version_works_and_the_other_one_says_why_not(
    webhooks: LightWebhooks, checked: Objects, rest: Rest
) -> None:
    for process in webhooks.processes:
        process.kill()
        process.wait()
    component = {"name": "w", "podTemplate": pod()}
    answer = checked.create(made(GRAPH, BETA, "alone", {"components": [component]}))
    assert answer.ok, answer.message
    assert checked.patch(GRAPH, "v1beta1", "alone", {"spec": {"backendFramework": "vllm"}}).ok
    refused = checked.create(made(GRAPH, ALPHA, "nobody", {"services": {"w": service()}}))
    assert not refused.ok
    assert "conversion webhook for nvidia.com/v1alpha1" in refused.message
    read = rest.call("GET", checked.path(GRAPH, "v1alpha1", "alone"))
    assert not read.ok


def test_kinds_do_without_webhooks_after_a_farewell(
    where: TestCluster, webhooks: LightWebhooks, checked: Objects, rest: Rest
) -> None:
    environment = {
        **os.environ,
        "KUBECONFIG": str(where.kubeconfig),
        "DGDR_CONFIG": str(Path(webhooks.folder, "webhooks-0.yaml")),
    }
    said = subprocess.run(
        [sys.executable, "-m", "dgdr_webhooks.farewell"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert "only the stored version is served" in said.stdout
    until(
        "the old version to be gone",
        lambda: rest.call("GET", checked.path(GRAPH, "v1alpha1")).status == 404,
    )
    assert checked.get(GRAPH, "v1beta1", "alone")
