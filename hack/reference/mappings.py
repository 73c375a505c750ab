"""Write down how AIConfigurator would spread models over GPUs, and what then fits: JSON on stdout.

``hack.reference`` runs this file in an environment of its own, which has ``aiconfigurator-core``
and none of our packages. Usage: ``python mappings.py CONFIG...``. For each configuration that it
knows there is every mapping that it enumerates for real GPUs: why it cannot build the model that
way, or what a GPU holds.
"""

import contextlib
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aiconfigurator_core.sdk import common, config, utils
from aiconfigurator_core.sdk.memory import KVCacheEstimator, kv_cache_budget_bytes
from aiconfigurator_core.sdk.models import get_model

PACKAGE = "aiconfigurator-core"
SIZES = [1, 2, 3, 4, 6, 8, 16]
# Its newest data for this system, whose memory is replaced by that of each of GPUS, and the share
# of the memory that the backend takes.
SYSTEM = "h200_sxm"
BACKENDS = {
    "vllm": ("0.27.0", 0.9),
    "sglang": ("0.5.16", 0.88),
    "trtllm": ("1.3.0rc23", 0.9),
}
# MiB as nvidia-smi says of an L4, an H100 and an H200, and the tokens of vLLM's batch on each.
GPUS = {"24": (23_034, 2048), "80": (81_559, 8192), "141": (143_771, 8192)}

Degrees = tuple[int, int, int, int]


def enumerated(model: dict[str, Any], backend: str) -> list[Degrees]:
    """Return the parts of attention (tp, dp) and of the experts (moe_tp, moe_ep)."""
    mixture = bool(model["num_experts"])
    text = model["raw_config"].get("text_config", model["raw_config"])
    parts = SIZES if mixture else [1]
    found = utils.enumerate_parallel_config(
        num_gpu_list=SIZES,
        tp_list=SIZES,
        pp_list=[1],
        dp_list=parts,
        moe_tp_list=parts,
        moe_ep_list=parts,
        is_moe=mixture,
        backend=common.BackendName[backend],
        real_silicon_sweep=True,
        allow_moe_pure_tp="kv_lora_rank" not in text,
    )
    return [(tp, dp, moe_tp, moe_ep) for tp, _, dp, moe_tp, moe_ep, _ in found]


def outcome(folder: str, backend: str, degrees: Degrees) -> dict[str, Any]:
    """Return why a model cannot be built in that way, or what a GPU then holds."""
    tp, dp, moe_tp, moe_ep = degrees
    sizes = {
        "tp_size": tp,
        "attention_dp_size": dp,
        "moe_tp_size": moe_tp,
        "moe_ep_size": moe_ep,
    }
    try:
        get_model(folder, config.ModelConfig(**sizes), backend)
    except (AssertionError, ValueError) as exc:
        return {"refused": str(exc).strip()}
    try:
        held = {gpu: holds(folder, backend, sizes, gpu) for gpu in GPUS}
    except KeyError as exc:
        return {"refused": f"no data for {exc}"}
    return {
        "weights_mib": held["141"]["weights_mib"],
        "others_mib": {gpu: found["others_mib"] for gpu, found in held.items()},
        "kv_tokens": {gpu: found["kv_tokens"] for gpu, found in held.items()},
    }


def holds(folder: str, backend: str, sizes: dict[str, int], gpu: str) -> dict[str, int]:
    """Return what a GPU of a size holds; no tokens where the weights leave no room."""
    database, share = BACKENDS[backend]
    mib, batch = GPUS[gpu]
    estimator = KVCacheEstimator.from_request(
        folder, SYSTEM, backend, database, max_num_tokens=batch, max_batch_size=256, **sizes
    )
    parts = estimator.breakdown
    left = kv_cache_budget_bytes(
        capacity=mib * 2**20,
        non_kv=parts["non_kv_bytes"],
        fraction=share,
        of_free=backend == "trtllm",
    )
    return {
        "weights_mib": round(parts["weights_bytes"] / 2**20),
        "others_mib": round((parts["non_kv_bytes"] - parts["weights_bytes"]) / 2**20),
        "kv_tokens": int(parts["tokens_from_kv_bytes"](left)) if left > 0 else 0,
    }


def mappings(folder: str) -> dict[str, Any]:
    """Return each mapping of a model by backend."""
    model = utils.get_model_config_from_model_path(folder)
    return {
        backend: {
            " ".join(map(str, degrees)): outcome(folder, backend, degrees)
            for degrees in enumerated(model, backend)
        }
        for backend in BACKENDS
    }


def record(configs: list[Path]) -> dict[str, Any]:
    """Return what is known of each model; of the others, why it is not."""
    known: dict[str, Any] = {}
    unknown: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for path in configs:
            folder = Path(scratch, path.stem)
            folder.mkdir()
            (folder / "config.json").write_bytes(path.read_bytes())
            try:
                known[path.stem] = mappings(str(folder))
            except ValueError as exc:
                unknown[path.stem] = str(exc).partition(" Supported")[0]
    return {
        "source": {"package": PACKAGE, "version": version(PACKAGE)},
        "data": {backend: database for backend, (database, _) in BACKENDS.items()},
        "unknown": unknown,
        "models": known,
    }


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        found = record([Path(name) for name in sys.argv[1:]])
    json.dump(found, sys.stdout)
