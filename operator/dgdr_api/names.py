"""Names, labels and annotations that more than one room, or a user, relies on.

Upstream's names are kept wherever upstream has one, so that its dashboards, scripts and
planners find what they look for; ``dgdr.dev/`` is what only we have.
"""

import hashlib
from enum import StrEnum

NVIDIA_GROUP = "nvidia.com"
OUR_GROUP = "dgdr.dev"
NAMESPACE_SCOPE_LEASE = "dynamo-operator-namespace-scope"
"""Whoever renews it reconciles the nvidia.com objects of its namespace."""

# Candidates, whose names we choose, stay within what Grove allows a DGD and one of its components;
# all other names may be as long as a Service's.
MAX_DGD_AND_COMPONENT_CHARS = 45
MAX_WORKLOAD_NAME_CHARS = 63


class FieldManager(StrEnum):
    """Who writes what; server-side apply shows it to anyone who asks for managed fields."""

    OPERATOR = "dgdr-operator"
    INIT = "dgdr-init"
    """Creates a DGD once, with its first replicas; applies after that leave replicas out."""
    SCALE = "dgdr-scale"
    """Copies an adapter's replicas into its DGD."""
    PLANNER = "dgdr-planner"
    PROFILER = "dgdr-profiler"


class Label(StrEnum):
    """Labels on objects that we create."""

    MANAGED_BY = "nvidia.com/managed-by"
    DGDR_NAME = "dgdr.nvidia.com/name"
    DGDR_NAMESPACE = "dgdr.nvidia.com/namespace"
    JOB_APP = "app"
    JOB_DGDR = "dgdr"

    SELECTOR = "nvidia.com/selector"
    GRAPH = "nvidia.com/dynamo-graph-deployment-name"
    DYNAMO_NAMESPACE = "nvidia.com/dynamo-namespace"
    COMPONENT = "nvidia.com/dynamo-component"
    COMPONENT_TYPE = "nvidia.com/dynamo-component-type"
    SUB_COMPONENT_TYPE = "nvidia.com/dynamo-sub-component-type"
    COMPONENT_CLASS = "nvidia.com/dynamo-component-class"
    METRICS_ENABLED = "nvidia.com/metrics-enabled"
    DISCOVERY_BACKEND = "nvidia.com/dynamo-discovery-backend"
    DISCOVERY_ENABLED = "nvidia.com/dynamo-discovery-enabled"

    RUN = "dgdr.dev/run"
    """UID of the DGDR on whose behalf a candidate exists; the operator sweeps by it."""
    REQUEST_UID = "dgdr.dev/request-uid"
    """UID of the DGDR that a deployment, its curves and its SLAPlanner were generated for."""
    RECORDS = "dgdr.dev/records"
    """Which records of a run a ConfigMap holds, so that other runs find its points."""
    CANDIDATE = "dgdr.dev/candidate"
    """Identity of the candidate, such as ``vllm-tp2``."""


class RecordKind(StrEnum):
    """Values of the label of records."""

    POINTS = "points"
    JOURNAL = "journal"


class Annotation(StrEnum):
    """Annotations that we read or write."""

    PROFILING_POLICY = "dgdr.dev/profiling-policy"
    RERUN_REQUESTED_AT = "dgdr.dev/rerun-requested-at"
    """On a failed DGDR: run it again. Any new value will do; the time is a good one."""
    SUSPEND = "dgdr.dev/suspend"
    """On a DGDR: with value true nothing is started, and the Job that runs is stopped."""
    ENABLE_METRICS = "nvidia.com/enable-metrics"
    LAST_APPLIED_HASH = "nvidia.com/last-applied-hash"
    """On what we apply: whether it is still what we would apply now."""
    UPGRADE_REQUESTED_AT = "dgdr.dev/upgrade-requested-at"
    """On a DGD: bring its pods up to what this operator makes. Any new value will do."""
    GRAPH_HASH = "dgdr.dev/graph-hash"
    """On a Deployment: what its DGD asked when the pod template was made."""
    DATA_PLANE = "dgdr.dev/data-plane"
    """On a Deployment: what the installation told its pods then."""
    POD_TEMPLATE = "dgdr.dev/pod-template"
    """On a Deployment: its pod template as it was made, to put a hand edit right by."""


MANAGED_BY_VALUE = "dynamo-operator"
JOB_APP_VALUE = "dynamo-profiler"
PROFILING_SERVICE_ACCOUNT = "dgdr-profiling-job"
# Each holds 500 records, several times what a run measures. The Job's rights name every one.
RECORD_MAPS = 16
HF_TOKEN_SECRET = "hf-token-secret"
HF_TOKEN_KEY = "HF_TOKEN"
PROFILE_DATA_MOUNT = "/workspace/profiling_results"

FINAL_CONFIG_KEY = "final_config.yaml"
PREFILL_JSON_KEY = "prefill_raw_data.json"
DECODE_JSON_KEY = "decode_raw_data.json"
PREFILL_NPZ_KEY = "selected_prefill_interpolation.npz"
DECODE_NPZ_KEY = "selected_decode_interpolation.npz"
MOCKER_NPZ_KEY = "mocker.npz"


class OutputKey(StrEnum):
    """Keys of ``dgdr-output-<dgdr>``: upstream's progress keys, then what a finished run adds."""

    PHASE = "phase"
    MESSAGE = "message"
    STATUS = "profiler_status"
    ERROR = "profiler_error"
    STARTED_AT = "profiler_started_at"
    """When the run began. It names the run: the operator empties the output before the next one."""
    FINAL_CONFIG = FINAL_CONFIG_KEY
    PREFILL_JSON = PREFILL_JSON_KEY
    DECODE_JSON = DECODE_JSON_KEY
    PREFILL_NPZ = PREFILL_NPZ_KEY
    DECODE_NPZ = DECODE_NPZ_KEY
    MOCKER_NPZ = MOCKER_NPZ_KEY
    """Only where mockers replay what was measured."""
    REPORT = "report.json"


def job_name(dgdr: str) -> str:
    """Name of the profiling Job, and of the ConfigMap with its request."""
    return f"profile-{dgdr}"


def profiling_account(dgdr: str) -> str:
    """Name of the account that a request's profiling Job runs as, and of its Role."""
    return f"{PROFILING_SERVICE_ACCOUNT}-{dgdr}"


def output_config_map(dgdr: str) -> str:
    """Name of the ConfigMap that the Job reports progress and its result in."""
    return f"dgdr-output-{dgdr}"


def points_config_map(dgdr: str, index: int) -> str:
    """Name of the ``index``-th ConfigMap of measured points."""
    return f"dgdr-points-{dgdr}-{index}"


def journal_config_map(dgdr: str, index: int) -> str:
    """Name of the ``index``-th ConfigMap of rejections, failures and stays."""
    return f"dgdr-journal-{dgdr}-{index}"


def points_of(dgdr: str) -> list[str]:
    """Return the names of all ConfigMaps that a request's points may be in."""
    return [points_config_map(dgdr, index) for index in range(RECORD_MAPS)]


def records_of(dgdr: str) -> list[str]:
    """Return the names of all ConfigMaps that a profiling Job writes."""
    journals = [journal_config_map(dgdr, index) for index in range(RECORD_MAPS)]
    return [output_config_map(dgdr), *points_of(dgdr), *journals]


def profile_data_config_map(dgdr_uid: str) -> str:
    """Name of the ConfigMap with the curves that planner and mocker mount."""
    return f"planner-profile-data-{hashlib.sha256(dgdr_uid.encode()).hexdigest()[:8]}"


def dgd_name(dgdr: str, override: str | None = None) -> str:
    """Name of the generated DGD."""
    return override or f"{dgdr}-dgd"


def candidate_dgd_name(dgdr: str, candidate: str) -> str:
    """Name of the DGD of a candidate: ``<dgdr>-<candidate>``, shortened to the name budget.

    A shortened name keeps the candidate's id readable and tells DGDRs apart by a hash.
    """
    room = MAX_DGD_AND_COMPONENT_CHARS - len("frontend")
    name = f"{dgdr}-{candidate}"
    if len(name) <= room:
        return name
    digest = hashlib.sha256(dgdr.encode()).hexdigest()[:6]
    kept = dgdr[: room - len(candidate) - len(digest) - 2].rstrip("-.")
    return f"{kept}-{digest}-{candidate}"


def component_name(dgd: str, component: str) -> str:
    """Name of a component's Deployment, Service and scaling adapter."""
    return f"{dgd}-{component.lower()}".replace(".", "-")


def dynamo_namespace(namespace: str, dgd: str) -> str:
    """Dynamo's own namespace: one per graph, so that equal models of two graphs never mix."""
    return f"{namespace}-{dgd}"


SHARED_DYNAMO_NAMESPACE = "dynamo"
"""That of components with ``globalDynamoNamespace``, of whichever graph."""


def frontend_url(namespace: str, dgd: str, component: str = "frontend") -> str:
    """In-cluster URL of a graph's OpenAI endpoint."""
    return f"http://{component_name(dgd, component)}.{namespace}.svc.cluster.local:8000"
