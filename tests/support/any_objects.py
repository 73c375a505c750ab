"""Objects of both versions with whatever fields: usual ones, empty ones and wrong ones."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Objects = st.SearchStrategy[dict[str, Any]]

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(0, 9000), st.floats(0, 100, allow_nan=False),
    st.sampled_from(["", "a", "worker", "1000m", "8"]),
)  # fmt: skip
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcn"), inner, max_size=3)
    ),
    max_leaves=5,
)
TEXT = st.sampled_from(["a", "b", "vllm", "registry.test/r:1.6.1", "/models", ""])
FLAGS = st.lists(st.sampled_from(["--x", "1", "--disaggregation-mode", "prefill"]), max_size=4)
ENV = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("ABC")}, optional={"value": TEXT}), max_size=3
)
AMOUNTS = st.fixed_dictionaries({}, optional={
    "cpu": st.sampled_from(["1", "1000m"]), "memory": st.just("2Gi"), "gpu": st.just("2"),
    "gpuType": st.just("nvidia.com/mig-1g"), "custom": st.just({"rdma/ib": "1"}),
})  # fmt: skip
NATIVE = st.dictionaries(
    st.sampled_from(["cpu", "nvidia.com/gpu", "ephemeral-storage"]), st.sampled_from(["1", "4"])
)


def some(**fields: st.SearchStrategy[Any]) -> Objects:
    """Objects with some of the fields, and now and then a wrong value in one of them."""
    usual = {key: st.one_of(value, value, value, value, JUNK) for key, value in fields.items()}
    return st.fixed_dictionaries({}, optional={**usual, "unknownField": JUNK})


def resources(amounts: st.SearchStrategy[Any]) -> Objects:
    return some(limits=amounts, requests=amounts, claims=st.just([{"name": "c"}]))


MOUNTS = st.lists(
    some(name=st.sampled_from("cd"), mountPath=TEXT, readOnly=st.booleans()), max_size=2
)
CONTAINER = some(
    name=st.sampled_from(["main", "side"]), image=TEXT, command=FLAGS, args=FLAGS, env=ENV,
    workingDir=TEXT, volumeMounts=MOUNTS, resources=resources(NATIVE), startupProbe=JUNK,
    envFrom=st.just([{"secretRef": {"name": "token"}}]),
)  # fmt: skip
POD = {
    "volumes": st.just([{"name": "c", "persistentVolumeClaim": {"claimName": "c"}}]),
    "tolerations": st.just([{"key": "gpu"}]),
    "containers": st.one_of(st.none(), st.lists(CONTAINER, max_size=2)),
    "nodeSelector": st.just({"zone": "a"}),
}
METADATA = st.fixed_dictionaries(
    {"name": TEXT}, optional={"annotations": st.just({"team.example/note": "kept"})}
)
META = some(labels=st.just({"team": "a"}), annotations=st.just({"note": "b"}))
SERVICE = some(
    componentType=st.sampled_from(["worker", "frontend", "main", "prefill", "planner"]),
    subComponentType=st.sampled_from(["prefill", "decode", "encode"]),
    replicas=st.integers(0, 4), resources=resources(AMOUNTS), envs=ENV, envFromSecret=TEXT,
    extraPodSpec=some(mainContainer=CONTAINER, **POD), extraPodMetadata=META,
    volumeMounts=st.lists(
        some(name=st.just("c"), mountPoint=TEXT, useAsCompilationCache=st.booleans()), max_size=2
    ),
    sharedMemory=some(size=st.just("8Gi"), disabled=st.booleans()),
    scalingAdapter=some(enabled=st.booleans()), multinode=some(nodeCount=st.just(2)),
    livenessProbe=JUNK, dynamoNamespace=TEXT, serviceName=TEXT, labels=st.just({"l": "m"}),
)  # fmt: skip
SHARED_SPEC = {
    "backendFramework": TEXT, "restart": some(id=TEXT), "priorityClassName": TEXT,
    "labels": st.just({"a": "b"}), "experimental": JUNK,
}  # fmt: skip
COMPONENT = some(
    name=st.sampled_from(["Frontend", "decode", "prefill", ""]),
    type=st.sampled_from(["worker", "frontend", "main", "prefill"]), replicas=st.integers(0, 4),
    podTemplate=some(metadata=META, spec=some(**POD)), scalingAdapter=st.just({}),
    sharedMemorySize=st.sampled_from(["0", "8Gi"]), multinode=some(nodeCount=st.just(2)),
    compilationCache=some(pvcName=st.just("c"), mountPath=TEXT), minAvailable=st.just(1),
)  # fmt: skip
BLOB = some(
    sla=some(
        ttft=SCALARS, itl=SCALARS, isl=SCALARS, osl=SCALARS,
        optimizationType=st.sampled_from(["latency", "load"]),
    ),
    deployment=some(
        modelCache=some(pvcName=TEXT, modelPathInPvc=TEXT, pvcPath=TEXT, mountPath=TEXT)
    ),
    planner=JUNK, sweep=JUNK, aic=JUNK, hardware=JUNK,
)  # fmt: skip
POD_OF_JOB = some(tolerations=st.just([{"key": "gpu"}]), nodeSelector=JUNK, containers=st.one_of(
    st.lists(st.fixed_dictionaries({"name": TEXT}), max_size=2),
    st.just([{"name": "profiler", "resources": {"limits": {"cpu": "1"}}}]),
))  # fmt: skip

SPECS: Mapping[tuple[str, str], Objects] = {
    ("DynamoGraphDeployment", "v1alpha1"): some(
        services=st.dictionaries(
            st.sampled_from(["Frontend", "decode", "Prefill"]), st.one_of(SERVICE, SERVICE, JUNK),
            max_size=3,
        ),
        envs=ENV, pvcs=st.just([{"name": "c", "create": True, "size": "9Gi"}]),
        topologyConstraint=some(topologyProfile=TEXT), **SHARED_SPEC,
    ),
    ("DynamoGraphDeployment", "v1beta1"): some(
        components=st.lists(st.one_of(COMPONENT, COMPONENT, JUNK), max_size=3), env=ENV,
        topologyConstraint=some(clusterTopologyName=TEXT), **SHARED_SPEC,
    ),
    ("DynamoGraphDeploymentRequest", "v1alpha1"): some(
        model=TEXT, backend=TEXT, autoApply=st.booleans(), useMocker=st.booleans(),
        enableGpuDiscovery=st.booleans(),
        profilingConfig=some(
            profilerImage=TEXT, config=BLOB, outputPVC=TEXT, tolerations=JUNK, nodeSelector=JUNK,
            configMapRef=some(name=TEXT, key=TEXT), resources=resources(NATIVE),
        ),
        deploymentOverrides=some(workersImage=TEXT, name=TEXT, labels=JUNK),
    ),
    ("DynamoGraphDeploymentRequest", "v1beta1"): some(
        model=TEXT, backend=TEXT, image=TEXT, autoApply=st.booleans(), searchStrategy=TEXT,
        modelCache=some(pvcName=TEXT, pvcModelPath=TEXT, pvcMountPath=TEXT), hardware=JUNK,
        sla=some(ttft=SCALARS, itl=SCALARS, e2eLatency=SCALARS, optimizationType=TEXT),
        workload=some(isl=SCALARS, osl=SCALARS, concurrency=SCALARS),
        features=some(planner=JUNK, mocker=some(enabled=st.booleans()), kvRouter=JUNK),
        overrides=some(
            dgd=JUNK, trustRemoteCode=st.booleans(),
            profilingJob=some(template=some(spec=POD_OF_JOB), backoffLimit=SCALARS),
        ),
    ),
    ("DynamoGraphDeploymentScalingAdapter", "v1alpha1"): some(
        replicas=SCALARS, dgdRef=some(name=TEXT, serviceName=TEXT)
    ),
    ("DynamoGraphDeploymentScalingAdapter", "v1beta1"): some(
        replicas=SCALARS, dgdRef=some(name=TEXT, componentName=TEXT)
    ),
}  # fmt: skip
STATUSES: Mapping[tuple[str, str], Objects] = {
    ("DynamoGraphDeployment", "v1alpha1"): some(
        state=TEXT, conditions=JUNK,
        services=st.dictionaries(TEXT, some(componentName=TEXT, replicas=SCALARS), max_size=2),
        rollingUpdate=some(phase=TEXT, updatedServices=JUNK),
    ),
    ("DynamoGraphDeployment", "v1beta1"): some(
        state=TEXT, conditions=JUNK,
        components=st.dictionaries(TEXT, some(componentNames=FLAGS, replicas=SCALARS), max_size=2),
        rollingUpdate=some(phase=TEXT, updatedComponents=JUNK),
    ),
    ("DynamoGraphDeploymentRequest", "v1alpha1"): some(
        state=st.sampled_from(["", "Pending", "Initializing", "Ready", "DeploymentDeleted"]),
        backend=TEXT, profilingResults=TEXT, generatedDeployment=JUNK, conditions=JUNK,
        deployment=some(name=TEXT, namespace=TEXT, state=TEXT, created=st.booleans()),
    ),
    ("DynamoGraphDeploymentRequest", "v1beta1"): some(
        phase=st.sampled_from(["Pending", "Profiling", "Ready", "Deployed", "Failed"]),
        profilingPhase=TEXT, profilingJobName=TEXT, dgdName=TEXT, conditions=JUNK,
        profilingResults=some(selectedConfig=JUNK, pareto=JUNK), deploymentInfo=JUNK,
    ),
}  # fmt: skip


def objects(kind: str, version: str) -> Objects:
    """Objects of a kind and version."""
    fixed = {
        "apiVersion": st.just(f"nvidia.com/{version}"),
        "kind": st.just(kind),
        "metadata": METADATA,
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "spec": st.one_of(SPECS[kind, version], SPECS[kind, version], st.none())
    }
    if (kind, version) in STATUSES:
        optional["status"] = STATUSES[kind, version]
    return st.fixed_dictionaries(fixed, optional=optional)
