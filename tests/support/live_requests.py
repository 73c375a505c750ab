"""A request on a real API server, whose Job is kept suspended while the test plays the profiler."""

from typing import Any

import yaml

from support.dgdr_world import generated_dgd, sla_planner
from support.operator_process import PATIENCE_S, Namespace, until

KEEP_JOB = {"profilingJob": {"suspend": True, "template": {"spec": {"containers": []}}}}


def request(name: str = "q", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeploymentRequest",
        "metadata": {"name": name},
        "spec": {
            "model": "Qwen/Qwen3-0.6B",
            "image": "registry.test/vllm-runtime:1",
            "overrides": KEEP_JOB,
            **spec,
        },
    }


def phase(there: Namespace, name: str = "q") -> str:
    found = there.get("dgdr", name) or {}
    return str((found.get("status") or {}).get("phase"))


def reaches(
    there: Namespace, wanted: str, name: str = "q", patience_s: float = PATIENCE_S
) -> dict[str, Any]:
    try:
        until(f"{name} {wanted}", lambda: phase(there, name) == wanted, patience_s)
    except AssertionError as exc:
        objects = there.kubectl("get", "dgdr,dgd,job,pod,deployment,dgdsa", "-o", "yaml")
        raise AssertionError(f"{exc}\n{objects[-6000:]}") from exc
    found = there.get("dgdr", name)
    assert found is not None
    return found


def owner(dgdr: dict[str, Any]) -> list[dict[str, Any]]:
    meta = dgdr["metadata"]
    reference = {key: dgdr[key] for key in ("apiVersion", "kind")}
    return [{**reference, "name": meta["name"], "uid": meta["uid"]}]


def report(there: Namespace, **data: str) -> None:
    """Write the output as the profiler does."""
    dgdr = there.get("dgdr", "q")
    assert dgdr is not None
    labels = {"dgdr.nvidia.com/name": "q", "dgdr.nvidia.com/namespace": there.name}
    meta = {"name": "dgdr-output-q", "labels": labels, "ownerReferences": owner(dgdr)}
    there.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})


def make_candidate(there: Namespace) -> None:
    dgdr = there.get("dgdr", "q")
    assert dgdr is not None
    candidate = generated_dgd(name="q-tp2")
    candidate["metadata"].update(
        labels={"dgdr.dev/run": dgdr["metadata"]["uid"], "dgdr.dev/candidate": "tp2"},
        ownerReferences=owner(dgdr),
    )
    there.apply(candidate)


def finish(there: Namespace, *documents: dict[str, Any]) -> None:
    """Write the result and let the Job complete."""
    result = documents or (sla_planner(), generated_dgd())
    report(
        there,
        phase="Done",
        profiler_status="success",
        **{
            "final_config.yaml": yaml.safe_dump_all(result),
            "prefill_raw_data.json": "{}",
            "decode_raw_data.json": "{}",
        },
    )
    there.kubectl("patch", "job", "profile-q", "--type=merge", '-p={"spec":{"suspend":false}}')
