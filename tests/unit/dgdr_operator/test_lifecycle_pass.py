"""The life of a request through real passes over a fake cluster."""

from datetime import timedelta

import pytest

from dgdr_kube.errors import ClusterError, Conflict, Rejected, Unreachable
from dgdr_kube.kinds import (
    CONFIG_MAP,
    DGD,
    DGDR,
    JOB,
    NODE,
    PVC,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    SLA_PLANNER,
    Kind,
)
from support.claims import claim_template
from support.dgdr_world import DGD_NAME, NAME, NS, World, dgdr, generated_dgd, node, sla_planner


async def profiling(**spec: object) -> World:
    world = World(dgdr(**spec))
    await world.settle()
    assert world.phase == "Profiling"
    return world


async def deployed(**spec: object) -> World:
    world = World(dgdr(**spec))
    await world.live()
    return world


async def test_a_request_comes_to_its_deployment() -> None:
    world = await deployed()
    assert world.phase == "Deployed"
    assert {c["type"]: c["status"] for c in world.status["conditions"]} == {
        "Validation": "True",
        "Profiling": "True",
        "SpecGenerated": "True",
        "DeploymentReady": "True",
        "Succeeded": "True",
        "Ready": "True",
    }
    assert world.status["dgdName"] == DGD_NAME
    assert world.status["deploymentInfo"] == {"replicas": 3, "availableReplicas": 3}
    assert world.status["observedGeneration"] == 1
    assert "profilingPhase" not in world.status
    assert world.status["profilingResults"]["selectedConfig"]["kind"] == "DynamoGraphDeployment"
    assert world.events == [
        "Initialized",
        "ProfilingJobCreated",
        "CandidatesDeleted",
        "SpecGenerated",
        "DeploymentCreated",
        "DeploymentReady",
    ]


async def test_a_second_pass_writes_nothing() -> None:
    world = await deployed()
    before = list(world.cluster.writes)
    await world.one_pass()
    assert world.cluster.writes == before


async def test_profiling_shows_what_the_job_reports() -> None:
    world = await profiling()
    assert world.condition("Profiling")[:2] == ("False", "Initializing")
    await world.profiler_reports("SweepingDecode", "candidate 2 of 3: TP=2, 3 of 9 points")
    await world.settle()
    assert world.status["profilingPhase"] == "SweepingDecode"
    assert world.condition("Profiling") == (
        "False",
        "SweepingDecode",
        "candidate 2 of 3: TP=2, 3 of 9 points",
    )
    assert world.condition("Succeeded") == (
        "False",
        "Profiling",
        "candidate 2 of 3: TP=2, 3 of 9 points",
    )


async def test_discovered_hardware_is_in_the_status_and_not_in_the_spec() -> None:
    world = await profiling()
    assert world.status["hardware"] == {
        "gpuSku": "h200_sxm",
        "vramMb": 143771.0,
        "numGpusPerNode": 16,
        "totalGpus": 16,
        "source": "discovered",
    }
    assert "hardware" not in world.request["spec"]
    assert world.request["metadata"]["generation"] == 1


# -- validation


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        pytest.param({"model": None}, "spec.model", id="no model"),
        pytest.param({"backend": "tgi"}, "spec.backend", id="unknown backend"),
        pytest.param(
            {"searchStrategy": "thorough", "backend": "auto"},
            'is incompatible with spec.backend "auto"; set spec.backend to a specific backend '
            "(sglang, trtllm, or vllm)",
            id="thorough with auto",
        ),
        pytest.param({"sla": {"ttft": -1, "itl": 5}}, "spec.sla.ttft", id="negative target"),
        pytest.param({"sla": {"ttft": 500}}, "ttft and itl belong together", id="ttft alone"),
        pytest.param(
            {"sla": {"ttft": 5, "itl": 5, "e2eLatency": 9}},
            "e2eLatency replaces ttft and itl",
            id="e2e with ttft",
        ),
        pytest.param(
            {"workload": {"requestRate": 1.0, "concurrency": 2.0}},
            "requestRate and concurrency exclude each other",
            id="rate with concurrency",
        ),
        pytest.param({"modle": "x"}, "spec.modle", id="unknown field"),
        pytest.param(
            {"overrides": {"dgd": {"apiVersion": "v1", "kind": "DynamoGraphDeployment"}}},
            "spec.overrides.dgd.apiVersion",
            id="override of another kind",
        ),
    ],
)
async def test_an_invalid_spec_fails_and_says_why(spec: dict[str, object], text: str) -> None:
    request = dgdr(**spec)
    request["spec"] = {key: value for key, value in request["spec"].items() if value is not None}
    world = World(request)
    world.cluster.admits_all = True
    await world.settle()
    status, reason, message = world.condition("Validation")
    assert (world.phase, status, reason) == ("Failed", "False", "ValidationFailed")
    assert text in message
    assert world.condition("Succeeded") == ("False", "Failed", f"Validation failed: {message}")
    assert world.events == ["ValidationFailed"]
    assert world.job is None


async def test_a_value_that_is_hardly_meant_is_asked_back_and_served() -> None:
    world = World(dgdr(sla={"ttft": 0.5, "itl": 50}))
    await world.settle()
    question = "spec.sla.ttft is 0.5 ms; did you mean 500?"
    assert world.condition("Validation") == (
        "True",
        "ValidationPassed",
        f"the spec is valid; {question}",
    )
    assert world.phase == "Profiling"
    assert world.events.count("SuspiciousValue") == 1
    await world.settle()
    assert world.events.count("SuspiciousValue") == 1


async def test_a_name_that_is_too_long_fails() -> None:
    request = dgdr()
    request["metadata"]["name"] = NAME
    long = {"apiVersion": "nvidia.com/v1beta1", "kind": "DynamoGraphDeployment"}
    long["metadata"] = {"name": "d" * 55}  # type: ignore[assignment]
    request["spec"]["overrides"] = {"dgd": long}
    world = World(request)
    await world.settle()
    assert "share 63 characters" in world.condition("Validation")[2]


async def test_an_edit_of_an_invalid_spec_starts_over() -> None:
    world = World(dgdr(sla={"ttft": 500}))
    await world.settle()
    await world.edit(sla={"ttft": 500, "itl": 50})
    await world.settle()
    assert world.phase == "Profiling"
    assert world.condition("Validation")[0] == "True"
    assert world.status["observedGeneration"] == 2


@pytest.mark.parametrize(
    ("spec", "annotations", "text"),
    [
        pytest.param(
            {"modelCache": {"pvcName": "weights"}},
            {},
            "model cache PVC weights not found in namespace ns",
            id="claim",
        ),
        pytest.param(
            {},
            {"dgdr.dev/profiling-policy": "cheap"},
            "ProfilingPolicy cheap not found in namespace ns",
            id="policy",
        ),
    ],
)
async def test_what_is_missing_is_waited_for(
    spec: dict[str, object], annotations: dict[str, str], text: str
) -> None:
    request = dgdr(**spec)
    request["metadata"]["annotations"] = annotations
    world = World(request)
    delay_s = await world.one_pass()
    await world.settle()
    assert world.phase == "Pending"
    assert text in world.condition("Validation")[2]
    assert delay_s == 30.0
    assert world.events == ["ValidationFailed"]
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    policy = {"apiVersion": "dgdr.dev/v1alpha1", "kind": "ProfilingPolicy", "spec": {}}
    world.cluster.seed(
        {**claim, "metadata": {"name": "weights", "namespace": NS}},
        {**policy, "metadata": {"name": "cheap", "namespace": NS}},
    )
    await world.settle()
    assert world.phase == "Profiling"


async def test_the_policy_default_of_the_namespace_applies() -> None:
    policy = {
        "apiVersion": "dgdr.dev/v1alpha1",
        "kind": "ProfilingPolicy",
        "metadata": {"name": "default", "namespace": NS},
        "spec": {"deadline": "1h"},
    }
    world = World(dgdr(), policy)
    await world.settle()
    assert world.job is not None
    assert world.job["spec"]["activeDeadlineSeconds"] == 3600 + 1800 + 1800


async def test_mockers_need_their_data() -> None:
    policy = {
        "apiVersion": "dgdr.dev/v1alpha1",
        "kind": "ProfilingPolicy",
        "metadata": {"name": "default", "namespace": NS},
        "spec": {"candidateEngine": "mocker"},
    }
    world = World(dgdr(), policy)
    await world.settle()
    message = world.condition("Validation")[2]
    assert message.startswith(
        "ProfilingPolicy default spec.mocker.profilesConfigMap: Invalid value"
    )
    assert "ConfigMap mocker-profiles not found in namespace ns; create it with" in message
    # No watch tells of a user's own ConfigMap: whoever has waited for a day looks as often.
    assert "; it is looked for again within two minutes; waiting since" in message
    world.now += timedelta(days=1)
    assert await world.one_pass() == 120
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mocker-profiles"}}
    made["metadata"] |= {"namespace": NS}  # type: ignore[operator]
    world.cluster.seed(made)
    await world.settle()
    assert world.phase == "Profiling"


async def test_a_misspelt_key_of_the_planner_is_told_and_stops_nothing() -> None:
    world = await profiling(features={"planner": {"max_gpu_budgett": 6}})
    assert world.condition("Validation") == (
        "True",
        "ValidationPassed",
        "the spec is valid; spec.features.planner.max_gpu_budgett is unknown and has no effect; "
        "did you mean max_gpu_budget?",
    )
    assert world.events.count("KeyIgnored") == 1


async def test_without_gpus_it_waits_and_says_what_to_set() -> None:
    world = World()
    await world.cluster.delete(NODE, None, "node-1")
    await world.settle()
    assert world.phase == "Pending"
    status, reason, message = world.condition("Profiling")
    assert (status, reason) == ("False", "DiscoveringHardware")
    assert "set spec.hardware.gpuSku, numGpusPerNode and totalGpus" in message
    world.cluster.seed(node())
    await world.settle()
    assert world.phase == "Profiling"


async def test_without_the_right_to_read_nodes_explicit_hardware_is_enough() -> None:
    hardware = {"gpuSku": "h100_sxm", "numGpusPerNode": 8, "totalGpus": 8}
    world = World(dgdr(hardware=hardware))
    world.cluster.refuse("list", NODE, Rejected(403, "nodes is forbidden"))
    await world.settle()
    assert world.phase == "Profiling"
    assert world.status["hardware"]["source"] == "spec"


async def test_without_the_right_to_read_nodes_hardware_is_asked_for() -> None:
    world = World()
    world.cluster.refuse("list", NODE, Rejected(403, "nodes is forbidden"))
    await world.settle()
    text = "GPU hardware configuration is required when GPU discovery is disabled"
    assert text in world.condition("Profiling")[2]


async def test_a_right_that_is_missing_is_told() -> None:
    world = World(dgdr(modelCache={"pvcName": "weights"}))
    world.cluster.refuse("get", PVC, Rejected(403, "persistentvolumeclaims is forbidden"))
    with pytest.raises(Rejected):
        await world.one_pass()
    text = "the API server refused: persistentvolumeclaims is forbidden; it is tried again"
    assert [(e.reason, e.message) for e in world.cluster.events] == [("ReconcileFailed", text)]
    assert world.condition("Ready") == ("False", "ReconcileFailed", text)
    assert world.condition("Succeeded") == ("False", "ReconcileFailed", text)
    with pytest.raises(Rejected):
        await world.one_pass()
    assert world.events == ["ReconcileFailed"]
    world.cluster.refuse("get", PVC, None)
    await world.settle()
    assert world.condition("Ready")[1] == world.condition("Succeeded")[1] == "Pending"


async def test_what_nobody_expects_is_told_too() -> None:
    world = World()
    world.cluster.refuse("list", DGD, ZeroDivisionError("no such thing"))
    with pytest.raises(ZeroDivisionError):
        await world.one_pass()
    assert world.condition("Ready") == (
        "False",
        "ReconcileFailed",
        "unexpected ZeroDivisionError: no such thing; the operator's log has the traceback, it is "
        "tried again",
    )


@pytest.mark.parametrize("error", [Unreachable("503"), Conflict("modified")])
async def test_what_passes_by_itself_is_for_the_log(error: ClusterError) -> None:
    world = World()
    world.cluster.refuse("list", DGD, error)
    with pytest.raises(type(error)):
        await world.one_pass()
    assert world.events == []
    assert world.status == {}


async def test_an_override_of_another_shape_fails_and_an_edit_cures_it() -> None:
    world = World(dgdr(overrides={"profilingJob": {"template": {"spec": {"containers": ["x"]}}}}))
    await world.settle()
    path = "spec.overrides.profilingJob.template.spec.containers"
    assert world.condition("Validation")[2] == f"{path}: ['x'] is not an array of objects"
    assert world.events == ["ValidationFailed"]
    await world.edit(overrides=None)
    await world.settle()
    assert world.phase == "Profiling"


# -- profiling


async def test_objects_of_a_run_belong_to_the_request() -> None:
    world = await profiling()
    owned = [
        (JOB, f"profile-{NAME}"),
        (CONFIG_MAP, f"profile-{NAME}"),
        (SERVICE_ACCOUNT, "dgdr-profiling-job-q"),
        (ROLE_BINDING, "dgdr-profiling-job-q-binding"),
    ]
    for kind, name in owned:
        found = world.cluster.peek(kind, NS, name)
        assert found is not None
        assert [o["uid"] for o in found["metadata"]["ownerReferences"]] == [world.uid]


async def test_mockers_get_the_tables_that_were_drawn_for_them() -> None:
    world = await profiling()
    await world.profiler_finishes({"mocker.npz": "UEsDBA=="})
    await world.settle()
    (data,) = (
        m for name, m in world.cluster.everything().items() if "planner-profile-data" in name
    )
    assert data["binaryData"] == {"mocker.npz": "UEsDBA=="}


async def test_deleting_the_request_takes_the_run_along_and_leaves_the_deployment() -> None:
    world = await deployed()
    await world.cluster.delete(DGDR, NS, NAME)
    await world.one_pass()
    left = {name.split("/")[0] for name in world.cluster.everything()}
    kept = {"DynamoGraphDeployment", "ConfigMap", "SLAPlanner"}
    assert left - {"CustomResourceDefinition", "Node"} == kept
    data = [name for name in world.cluster.everything() if name.startswith("ConfigMap")]
    assert len(data) == 1
    assert data[0].startswith("ConfigMap/ns/planner-profile-data-")


ACCOUNT = "dgdr-profiling-job-q"


async def test_each_request_has_an_account_that_goes_with_it() -> None:
    world = await profiling()
    other = dgdr()
    other["metadata"]["name"] = "r"
    world.cluster.seed(other)
    await world.run(world.run_key("r"), world.now)
    assert world.cluster.peek(SERVICE_ACCOUNT, NS, ACCOUNT) is not None
    await world.cluster.delete(DGDR, NS, NAME)
    left = world.cluster.everything()
    rights = ("ServiceAccount/", "Role/", "RoleBinding/")
    assert {key.split("/")[-1] for key in left if key.startswith(rights)} == {
        "dgdr-profiling-job-r",
        "dgdr-profiling-job-r-binding",
    }


async def test_points_of_other_requests_for_the_model_may_be_read_and_no_others() -> None:
    same, another = dgdr(), dgdr(model="another")
    same["metadata"]["name"], another["metadata"]["name"] = "same", "another"
    world = World(dgdr(), same, another)
    await world.settle()
    role = world.cluster.peek(ROLE, NS, ACCOUNT) or {}
    own, others = role["rules"]
    assert others["verbs"] == ["get"]
    assert others["resourceNames"][0] == "dgdr-points-same-0"
    assert not [name for name in others["resourceNames"] if "another" in name]
    assert own["verbs"] == ["get", "patch"]
    assert "dgdr-output-q" in own["resourceNames"]


async def test_a_users_own_account_is_left_alone() -> None:
    own = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT, "namespace": NS},
    }
    world = World(dgdr(), own)
    await world.settle()
    assert world.phase == "Profiling"
    found = world.cluster.peek(SERVICE_ACCOUNT, NS, ACCOUNT)
    assert "ownerReferences" not in (found or {})["metadata"]


async def test_an_account_of_an_earlier_request_of_that_name_is_waited_out() -> None:
    world = await profiling()
    left = world.cluster.peek(SERVICE_ACCOUNT, NS, ACCOUNT) or {}
    left["metadata"]["ownerReferences"][0]["uid"] = "of-an-earlier-one"
    world = World(dgdr(), left)
    with pytest.raises(Conflict, match="of an earlier request is being collected"):
        await world.one_pass()
    assert world.job is None


async def test_a_binding_of_an_earlier_installation_is_replaced() -> None:
    world = await profiling()
    stale = world.cluster.peek(ROLE_BINDING, NS, f"{ACCOUNT}-binding")
    request = world.cluster.peek(DGDR, NS, NAME)
    assert stale is not None
    assert request is not None
    stale["roleRef"]["name"] = "old-release-profiling"
    del request["status"]
    world = World(request, stale)
    await world.settle()
    found = world.cluster.peek(ROLE_BINDING, NS, f"{ACCOUNT}-binding")
    assert (found or {})["roleRef"]["name"] == "dgdr-operator-profiling-job"


@pytest.mark.parametrize("role", ["view", "dgdr-operator-profiling-job"])
async def test_a_users_binding_stays_as_it_is_whatever_its_labels_say(role: str) -> None:
    world = await profiling()
    copied = world.cluster.peek(ROLE_BINDING, NS, f"{ACCOUNT}-binding") or {}
    del copied["metadata"]["ownerReferences"]
    copied["roleRef"]["name"] = role
    world = World(dgdr())
    await world.cluster.create(copied, "kubectl-create")
    before = world.cluster.peek(ROLE_BINDING, NS, f"{ACCOUNT}-binding")
    await world.settle()
    assert world.phase == "Profiling"
    assert world.cluster.peek(ROLE_BINDING, NS, f"{ACCOUNT}-binding") == before


async def test_a_users_copy_of_a_candidate_is_not_swept() -> None:
    world = await profiling()
    await world.profiler_makes_candidate()
    copied = world.cluster.peek(DGD, NS, "q-tp2") or {}
    copied["metadata"] = {"name": "mine", "namespace": NS, "labels": copied["metadata"]["labels"]}
    await world.cluster.create(copied, "kubectl-create")
    world.job_is("Failed", "x")
    await world.settle()
    assert world.cluster.peek(DGD, NS, "q-tp2") is None
    assert world.cluster.peek(DGD, NS, "mine") is not None
    await world.cluster.delete(DGDR, NS, NAME)
    await world.one_pass()
    assert world.cluster.peek(DGD, NS, "mine") is not None


async def test_candidates_stay_while_the_job_runs() -> None:
    world = await profiling()
    await world.profiler_makes_candidate()
    await world.settle()
    assert world.cluster.peek(DGD, NS, "q-tp2") is not None


async def test_candidates_of_a_failed_job_are_deleted() -> None:
    world = await profiling()
    await world.profiler_makes_candidate()
    world.job_is("Failed", "Job has reached the specified backoff limit")
    await world.settle()
    assert world.cluster.peek(DGD, NS, "q-tp2") is None
    assert world.phase == "Failed"
    await world.profiler_makes_candidate()  # its pod was still there
    await world.settle()
    assert world.cluster.peek(DGD, NS, "q-tp2") is None


async def test_a_failed_job_is_told_with_its_pod() -> None:
    world = await profiling()
    await world.profiler_reports(
        "SweepingPrefill", "candidate 1 of 3", profiler_error="no GPU fits the model"
    )
    terminated = {"exitCode": 2, "reason": "Error", "message": "Traceback\nboom"}
    world.profiler_pod(
        {"containerStatuses": [{"name": "profiler", "state": {"terminated": terminated}}]},
    )
    world.job_is("Failed", "Container profiler failed with exit code 2")
    await world.settle()
    status, reason, message = world.condition("Profiling")
    assert (world.phase, status, reason) == ("Failed", "False", "SweepingPrefillFailed")
    assert message == (
        "no GPU fits the model. Profiling job failed: Container profiler failed with exit code 2. "
        "Details: Pod: profile-q-pod, Container: profiler, ExitCode: 2, Reason: Error"
    )
    assert world.condition("Succeeded")[2] == "Profiling failed: no GPU fits the model."
    assert world.events[-1] == "ProfilingCheckFailed"


async def test_what_the_profiler_says_reaches_the_status_once_and_without_tokens() -> None:
    world = await profiling()
    said = "401 for hf_abcdefghijkl"
    await world.profiler_reports("SweepingPrefill", said, profiler_error=said)
    await world.settle()
    assert world.condition("Profiling")[2] == "401 for [token]"
    terminated = {"exitCode": 2, "reason": "Error", "message": f"ERROR {said}\n"}
    world.profiler_pod(
        {"containerStatuses": [{"name": "profiler", "state": {"terminated": terminated}}]},
    )
    world.job_is("Failed", "Container profiler failed with exit code 2")
    await world.settle()
    assert world.condition("Profiling")[2].count("401 for [token]") == 1
    told = [event.message for event in world.cluster.events]
    assert "hf_" not in str(world.status) + str(told)


async def test_the_end_of_a_log_tells_no_token() -> None:
    world = await profiling()
    terminated = {"exitCode": 1, "reason": "Error", "message": "TOKEN=hf_abcdefghijkl"}
    world.profiler_pod(
        {"containerStatuses": [{"name": "profiler", "state": {"terminated": terminated}}]},
    )
    world.job_is("Failed", "Job has reached the specified backoff limit")
    await world.settle()
    assert world.condition("Profiling")[2].startswith("TOKEN=[token]. Profiling job failed")


QUOTA = 'jobs.batch "profile-q" is forbidden: exceeded quota: team, limited: count/jobs.batch=1'
CURE = "raise the quota or free what it counts; it is tried again"


async def test_a_job_over_the_quota_waits_for_it_and_then_starts() -> None:
    world = World()
    world.cluster.refuse("create", JOB, Rejected(403, QUOTA))
    await world.settle()
    assert world.phase == "Pending"
    told = f"the API server refused: {QUOTA}; {CURE}; waiting since 2025-01-01T00:00:01Z"
    assert world.condition("Profiling") == ("False", "JobBlocked", told)
    assert world.condition("Succeeded")[2] == told
    for _ in range(3):
        await world.one_pass()
    assert world.events.count("ProfilingJobFailed") == 1
    world.cluster.refuse("create", JOB, None)
    await world.settle()
    assert world.phase == "Profiling"
    assert world.events.count("ProfilingJobCreated") == 1


async def test_an_edit_counts_while_the_job_is_refused() -> None:
    world = World()
    world.cluster.refuse("create", JOB, Rejected(403, QUOTA))
    await world.settle()
    await world.edit(model="another/model")
    world.cluster.refuse("create", JOB, None)
    await world.settle()
    assert "another/model" in str(world.cluster.peek(CONFIG_MAP, NS, "profile-q"))


async def test_a_job_made_again_waits_for_the_quota_too_and_keeps_its_phase() -> None:
    world = await profiling()
    world.cluster.refuse("create", JOB, Rejected(403, QUOTA))
    await world.cluster.delete(JOB, NS, "profile-q")
    world.now += timedelta(hours=1)
    # The wait begins with the refusal, not with the profiling that went well before.
    assert await world.one_pass() == 10.0
    assert world.phase == "Profiling"
    assert world.condition("Profiling")[1] == "JobBlocked"
    assert "ProfilerRunning" not in world.conditions
    world.cluster.refuse("create", JOB, None)
    await world.settle()
    assert world.job is not None


async def test_a_request_that_became_invalid_while_its_job_was_refused_is_not_tried_again() -> None:
    world = World()
    world.cluster.refuse("create", JOB, Rejected(403, QUOTA))
    await world.settle()
    await world.edit(sla={"ttft": -1.0})
    await world.settle()
    assert world.phase == "Failed"
    assert "Profiling" not in world.conditions


async def test_an_invalid_job_fails_with_the_servers_words() -> None:
    world = World()
    world.cluster.refuse("create", JOB, Rejected(422, "spec.template: Invalid value"))
    await world.settle()
    assert world.phase == "Failed"
    assert world.condition("Profiling")[1] == "JobCreationFailed"
    assert "spec.template: Invalid value" in world.condition("Profiling")[2]
    assert "ProfilingJobFailed" in world.events


async def test_a_deleted_job_is_made_again_with_what_it_was_told() -> None:
    world = await profiling()
    told = world.cluster.peek(CONFIG_MAP, NS, "profile-q")
    await world.edit(model="another/model")
    await world.cluster.delete(JOB, NS, "profile-q")
    await world.settle()
    assert world.job is not None
    assert world.cluster.peek(CONFIG_MAP, NS, "profile-q") == told


async def test_a_run_whose_request_was_lost_before_the_status_was_written_goes_on() -> None:
    world = await profiling()
    await world.cluster.delete(CONFIG_MAP, NS, "profile-q")
    world.cluster.set_status(DGDR, NS, NAME, {})
    await world.settle()
    assert world.phase == "Profiling"


async def test_job_and_request_deleted_together_end_the_run() -> None:
    world = await profiling()
    await world.cluster.delete(CONFIG_MAP, NS, "profile-q")
    await world.cluster.delete(JOB, NS, "profile-q")
    await world.settle()
    assert world.phase == "Failed"
    assert "were deleted while profiling ran" in world.condition("Profiling")[2]


async def test_a_result_counts_though_the_job_is_gone() -> None:
    world = await profiling()
    await world.profiler_finishes()
    await world.cluster.delete(JOB, NS, "profile-q")
    await world.live()
    assert world.phase == "Deployed"
    assert world.job is None


@pytest.mark.parametrize(
    ("device_class", "phase"),
    [
        pytest.param("compute-domain-default-channel.nvidia.com", "Deployed", id="no GPU"),
        pytest.param("gpu.nvidia.com", "Failed", id="too many"),
    ],
)
async def test_claims_of_a_result_count_with_what_their_template_hands_out(
    device_class: str, phase: str
) -> None:
    world = await profiling()
    claiming = generated_dgd(replicas=8)
    spec = claiming["spec"]["components"][2]["podTemplate"]["spec"]
    spec["resourceClaims"] = [{"name": "channel", "resourceClaimTemplateName": "channel"}]
    world.cluster.seed(claim_template("channel", device_class))
    world.documents = [sla_planner(), claiming]
    await world.profiler_finishes()
    await world.live()
    assert world.phase == phase


@pytest.mark.parametrize(
    ("final", "text"),
    [
        pytest.param([], "has no final_config.yaml", id="nothing"),
        pytest.param([{"kind": "Other"}], "has no DynamoGraphDeployment", id="no deployment"),
        pytest.param(
            [generated_dgd(replicas=9)], "needs 18 GPUs, more than the 16", id="over the budget"
        ),
        pytest.param(
            [{**generated_dgd(), "spec": {"components": [{"name": "a", "type": "b"}]}}],
            "spec.components[0].type",
            id="unreadable",
        ),
    ],
)
async def test_an_unusable_result_fails(final: list[dict[str, object]], text: str) -> None:
    world = await profiling()
    world.documents = final
    await world.profiler_finishes()
    await world.settle()
    status, reason, message = world.condition("SpecGenerated")
    assert (world.phase, status, reason) == ("Failed", "False", "GenerationFailed")
    assert text in message
    assert world.dgd is None


async def test_a_claim_is_heard_of_and_looked_for_rarely() -> None:
    world = World(dgdr(modelCache={"pvcName": "models"}))
    await world.settle()
    world.now += timedelta(days=1)
    assert await world.one_pass() == 600.0


async def test_an_earlier_requests_job_is_waited_out() -> None:
    old = await profiling()
    assert old.job is not None
    world = World(dgdr(), {**old.job, "metadata": {**old.job["metadata"], "uid": "old"}})
    world.cluster.seed(
        {**world.request, "metadata": {**world.request["metadata"], "uid": "new-uid"}}
    )
    delay_s = await world.one_pass()
    assert world.phase == "Pending"
    assert "Job profile-q exists and belongs to another owner" in world.condition("Profiling")[2]
    assert delay_s == 2.0
    world.now += timedelta(minutes=1)
    assert await world.one_pass() == 61.0
    world.now += timedelta(hours=1)
    assert await world.one_pass() == 120.0
    assert world.condition("Profiling")[2].endswith("; waiting since 2025-01-01T00:00:01Z")
    await world.cluster.delete(JOB, NS, "profile-q")
    await world.settle()
    assert world.phase == "Profiling"


# -- edits


async def test_an_edit_while_profiling_is_rejected_once_and_monitoring_goes_on() -> None:
    world = await profiling()
    await world.edit(model="another/model")
    await world.settle()
    await world.settle()
    text = (
        "Cannot modify spec in state 'Profiling'. DynamoGraphDeploymentRequest is immutable once "
        "profiling starts. Create a new resource with a different name instead."
    )
    assert [e.message for e in world.cluster.events if e.reason == "SpecChangeRejected"] == [text]
    assert world.condition("SpecChangeRejected") == ("True", "SpecChangeRejected", text)
    assert world.status["observedGeneration"] == 1
    await world.live()
    assert world.phase == "Deployed"


async def test_an_edit_that_is_taken_back_leaves_no_trace() -> None:
    world = await profiling()
    await world.edit(model="another/model")
    await world.settle()
    await world.edit(model="Qwen/Qwen3-0.6B")
    await world.settle()
    assert world.condition("SpecChangeRejected")[0] == "False"
    assert world.status["observedGeneration"] == 3


async def test_review_first_and_deploy_on_request() -> None:
    world = await deployed(autoApply=False)
    assert world.phase == "Ready"
    assert world.dgd is None
    assert world.condition("Succeeded")[:2] == ("True", "SpecGenerated")
    await world.edit(autoApply=True)
    await world.live()
    assert world.phase == "Deployed"
    assert "SpecChangeRejected" not in world.events


# -- deployment


async def test_the_planners_replicas_survive_three_applies() -> None:
    world = await deployed()
    components = [{"name": "prefill", "type": "prefill", "replicas": 4}]
    await world.cluster.apply(
        {**generated_dgd(), "metadata": {"name": DGD_NAME, "namespace": NS}}
        | {"spec": {"components": components}},
        "dgdr-scale",
    )
    for number in range(3):
        patch = {"metadata": {"annotations": {"dgdr.dev/applied-hash": f"old-{number}"}}}
        await world.cluster.patch(DGD, NS, DGD_NAME, patch, "kubectl")
        before = len(world.cluster.writes)
        await world.one_pass()
        assert "apply" in [w.verb for w in world.cluster.writes[before:]]
    assert world.dgd is not None
    replicas = {c["name"]: c.get("replicas") for c in world.dgd["spec"]["components"]}
    assert replicas == {"frontend": 1, "prefill": 4, "decode": 1}
    path = ("spec", "components", ("name", "prefill"))
    assert world.cluster.managers(DGD, NS, DGD_NAME, *path, "replicas") == {"dgdr-scale"}
    assert "dgdr-operator" in world.cluster.managers(DGD, NS, DGD_NAME, *path, "podTemplate")


async def test_an_edit_of_the_generated_deployment_stays() -> None:
    world = await deployed()
    await world.cluster.patch(DGD, NS, DGD_NAME, {"spec": {"backendFramework": "vllm"}}, "kubectl")
    await world.settle()
    assert (world.dgd or {})["spec"]["backendFramework"] == "vllm"


async def test_a_foreign_deployment_of_that_name_is_not_adopted() -> None:
    foreign = generated_dgd()
    foreign["metadata"].update(namespace=NS, labels={"dgdr.nvidia.com/name": "other"})
    world = await profiling()
    world.cluster.seed(foreign)
    for _ in range(6):
        await world.one_pass()
        await world.others()
    await world.settle()
    status, reason, message = world.condition("DeploymentReady")
    assert (world.phase, status, reason) == ("Failed", "False", "DeploymentRejected")
    assert "q-dgd exists already and does not belong to this request" in message
    assert (world.dgd or {})["spec"] == foreign["spec"]


async def test_a_foreign_deployment_of_that_name_is_told_before_anything_is_profiled() -> None:
    foreign = generated_dgd()
    foreign["metadata"].update(namespace=NS)
    world = World(dgdr(), foreign)
    await world.settle()
    assert (world.phase, world.job) == ("Pending", None)
    assert world.condition("Profiling")[2].startswith(
        "DynamoGraphDeployment q-dgd exists and belongs to another owner; profiling starts when it "
        "is gone, or spec.overrides.dgd.metadata.name names another; waiting since"
    )
    await world.cluster.delete(DGD, NS, DGD_NAME)
    await world.settle()
    assert world.phase == "Profiling"


async def test_a_foreign_deployment_is_in_nobodys_way_who_only_reviews() -> None:
    foreign = generated_dgd()
    foreign["metadata"].update(namespace=NS)
    world = World(dgdr(autoApply=False), foreign)
    await world.settle()
    assert world.phase == "Profiling"


async def test_a_refused_deployment_fails() -> None:
    world = World()
    world.cluster.refuse("create", DGD, Rejected(422, "spec.components: Invalid value"))
    await world.live()
    assert world.phase == "Failed"
    assert "spec.components: Invalid value" in world.condition("DeploymentReady")[2]
    assert world.condition("DeploymentReady")[1] == "DeploymentRejected"


@pytest.mark.parametrize(
    ("kind", "refusal", "reason"),
    [
        pytest.param(
            DGD,
            Rejected(403, "q-dgd is forbidden: exceeded quota: gpus"),
            "DeploymentBlocked",
            id="a full quota",
        ),
        pytest.param(
            DGD,
            Rejected(400, 'admission webhook "policy" denied the request: no team label'),
            "DeploymentBlocked",
            id="a policy",
        ),
        pytest.param(
            DGD,
            Rejected(
                422,
                "q-dgd is invalid: : Invalid value: ValidatingAdmissionPolicy 'teams' with "
                "binding 'teams' denied request: no team label",
            ),
            "DeploymentBlocked",
            id="a policy of the API server's",
        ),
        pytest.param(
            SLA_PLANNER, Rejected(403, "slaplanners is forbidden"), "UpdateBlocked", id="planner"
        ),
    ],
)
async def test_a_deployment_that_may_not_be_made_yet_keeps_its_result(
    kind: Kind, refusal: Rejected, reason: str
) -> None:
    world = World()
    world.cluster.refuse("create", kind, refusal)
    await world.live()
    assert world.phase == "Deploying"
    assert world.condition("SpecGenerated")[0] == "True"
    assert world.status["profilingResults"]["selectedConfig"]
    text = f"the API server refused: {refusal.message}"
    text += f"; {CURE}" if "quota" in refusal.message else "; it is tried again"
    told = world.condition("DeploymentReady")
    assert told[:2] == ("False", reason)
    assert told[2].startswith(f"{text}; waiting since 2025-01-01T00:00:0")
    assert "DeploymentCreationFailed" in world.events
    world.cluster.refuse("create", kind, None)
    await world.live()
    assert world.phase == "Deployed"
    assert world.events.count("DeploymentCreated") == (reason == "DeploymentBlocked")


@pytest.mark.parametrize("kind", [JOB, DGD])
async def test_a_refusal_is_answered_by_waiting_longer_each_time(kind: Kind) -> None:
    world = World()
    world.cluster.refuse("create", kind, Rejected(403, "exceeded quota: gpus"))
    await world.live()
    delays = []
    for _ in range(9):
        delay_s = await world.one_pass()
        assert delay_s is not None
        delays.append(delay_s)
        world.now += timedelta(seconds=delay_s)
    assert delays == sorted(delays)
    assert delays[0] == 10.0
    assert delays[-1] == 600.0


async def test_a_deleted_deployment_ends_the_request() -> None:
    world = await deployed()
    await world.cluster.delete(DGD, NS, DGD_NAME)
    await world.settle()
    assert world.phase == "Failed"
    assert world.condition("DeploymentReady") == (
        "False",
        "DeploymentDeleted",
        "DGD q-dgd was deleted. DGDR will not recreate it. Delete this DGDR and create a new one "
        "to redeploy.",
    )
    assert "dgdName" not in world.status
    assert "deploymentInfo" not in world.status
    assert world.dgd is None
    assert world.events[-1] == "DeploymentDeleted"


async def test_a_deployment_whose_label_was_removed_serves_on_and_is_left_alone() -> None:
    world = World()
    await world.live()
    gone = {"metadata": {"labels": {"dgdr.nvidia.com/name": None}}}
    await world.cluster.patch(DGD, NS, DGD_NAME, gone, "kubectl")
    await world.live()
    assert world.phase == "Deployed"
    assert world.condition("DeploymentReady") == (
        "True",
        "DeploymentReady",
        "DGD q-dgd is ready; its label dgdr.nvidia.com/name is gone, so it is not brought up to "
        "date any more",
    )
    world.dgd_is("pending", available=0)
    await world.settle()
    assert world.condition("DeploymentReady")[:2] == ("False", "DeploymentDegraded")
    await world.cluster.delete(DGD, NS, DGD_NAME)
    await world.settle()
    assert world.condition("DeploymentReady")[1] == "DeploymentDeleted"


async def test_a_foreign_deployment_in_place_of_ours_means_that_ours_was_deleted() -> None:
    world = World()
    await world.live()
    await world.cluster.delete(DGD, NS, DGD_NAME)
    foreign = generated_dgd()
    foreign["metadata"]["namespace"] = NS
    await world.cluster.create(foreign, "kubectl-create")
    await world.settle()
    assert world.condition("DeploymentReady")[1] == "DeploymentDeleted"


async def test_a_degraded_deployment_comes_back() -> None:
    world = await deployed()
    world.dgd_is("pending", available=0)
    await world.settle()
    assert world.phase == "Deploying"
    assert world.condition("DeploymentReady")[:2] == ("False", "DeploymentDegraded")
    await world.live()
    assert world.phase == "Deployed"
    assert world.events[-2:] == ["DeploymentDegraded", "DeploymentReady"]


async def test_a_scale_up_is_no_degradation() -> None:
    world = await deployed()
    world.dgd_is("pending", available=1, replicas=2)
    await world.settle()
    assert world.phase == "Deployed"
    assert world.status["deploymentInfo"] == {"replicas": 6, "availableReplicas": 3}


async def test_a_planner_that_the_user_deleted_stays_deleted() -> None:
    world = await deployed()
    assert world.cluster.peek(SLA_PLANNER, NS, DGD_NAME) is not None
    await world.cluster.delete(SLA_PLANNER, NS, DGD_NAME)
    await world.settle()
    assert world.cluster.peek(SLA_PLANNER, NS, DGD_NAME) is None


async def test_an_image_that_does_not_come_is_told() -> None:
    world = await profiling()
    await world.profiler_finishes()
    await world.settle()
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    container = {"name": "main", "image": "worker:1", "state": {"waiting": waiting}}
    world.cluster.seed(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "q-dgd-decode-1",
                "namespace": NS,
                "labels": {"nvidia.com/dynamo-graph-deployment-name": DGD_NAME},
            },
            "status": {"containerStatuses": [container]},
        }
    )
    await world.settle()
    await world.settle()
    assert world.events.count("ImagePullFailed") == 1
    assert "image worker:1 cannot be pulled" in world.condition("DeploymentReady")[2]
