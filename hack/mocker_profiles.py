"""Performance data for mocked engines: one NPZ for each mapping, and its exact truth.

The demo and the tests let Dynamo's mocker stand for an engine. It replays a table of times, so the
profiler's measurements can be checked against what the mocker was told. Tensor parallel size 1 is
a fit to published data of Llama-3.1-8B-FP8 on one H200; the other sizes are *scaled, not measured*:

    time(tp) = time(1) / (2 * efficiency) ** log2(tp)

with efficiency 0.90 per doubling for prefill, whose large matrix products hide most of the
all-reduce, and 0.80 for decode, which pays the all-reduce latency at every token. More GPUs are
therefore always faster and always less efficient per GPU: TP 2 serves a prompt in 1/1.80 and TP 4
in 1/3.24 of the time, a token in 1/1.60 and 1/2.56.

A mixture of experts on 8 GPUs is *made up*, so that its mappings differ: TEP 8 has the times of TP
8. A rank of DEP 8 attends to its requests alone, so the share ``ATTENTION`` of its work takes the
time of one GPU; and there are eight of them.

Usage: ``python -m hack.mocker_profiles --out FOLDER`` or ``--configmap NAME --namespace NS``, which
prints a manifest for ``kubectl apply -f -``. Needs numpy.
"""

import argparse
import base64
import io
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

TENSOR_PARALLEL_SIZES = (1, 2, 4)
EXPERT_PARALLEL_SIZE = 8

# TTFT_ms = 18.55 + 0.014110 isl + 4.919e-7 isl^2; mean relative error of the fit 2.6 %.
TTFT_BASE_MS = 18.55
TTFT_MS_PER_TOKEN = 0.014110
TTFT_MS_PER_TOKEN_SQUARED = 4.919e-7

# ITL_ms = 4.452 + 0.022245 batch + 3.160e-5 KV tokens; mean relative error of the fit 6.5 %.
ITL_BASE_MS = 4.452
ITL_MS_PER_REQUEST = 0.022245
ITL_MS_PER_KV_TOKEN = 3.160e-5

PREFILL_EFFICIENCY_PER_DOUBLING = 0.90
DECODE_EFFICIENCY_PER_DOUBLING = 0.80

# Of the work of a long prompt or a full batch.
ATTENTION = 0.3

PREFILL_POINTS = 100
MAX_ISL = 32768
# ITL is linear in KV tokens, which few rows hold exactly, but falls with 1/context at a constant
# number of KV tokens: the columns are spaced geometrically so that the mocker's bilinear look-up
# stays within 0.1 % of the truth.
KV_ROWS = 17
MAX_KV_TOKENS = 1_048_576
CONTEXT_COLUMNS = 100
MIN_CONTEXT = 32

Floats = npt.NDArray[np.float64]


def speedup(tp: int, efficiency_per_doubling: float) -> float:
    """Return how many times faster than one GPU ``tp`` GPUs are."""
    if tp < 1 or tp & (tp - 1):
        raise ValueError(f"tp must be a power of two, got {tp}")
    return float((2 * efficiency_per_doubling) ** math.log2(tp))


def ttft_ms(tp: int, isl: float, whole: float = 0.0) -> float:
    """Return the time of a prefill of ``isl`` uncached tokens, in ms at speed-up 1.

    ``whole`` is the share of the work that is not split over the GPUs.
    """
    alone = TTFT_BASE_MS + TTFT_MS_PER_TOKEN * isl + TTFT_MS_PER_TOKEN_SQUARED * isl**2
    return alone * (whole + (1 - whole) / speedup(tp, PREFILL_EFFICIENCY_PER_DOUBLING))


def itl_ms(tp: int, batch: float, kv_tokens: float, whole: float = 0.0) -> float:
    """Return the time of one decode step, in ms at speed-up 1.

    ``kv_tokens`` counts the tokens that the whole batch holds, not those of one request.
    """
    alone = ITL_BASE_MS + ITL_MS_PER_REQUEST * batch + ITL_MS_PER_KV_TOKEN * kv_tokens
    return alone * (whole + (1 - whole) / speedup(tp, DECODE_EFFICIENCY_PER_DOUBLING))


def profile_arrays(tp: int, whole: float = 0.0) -> dict[str, Floats]:
    """Return the mocker's arrays; ``decode_itl`` has shape (KV rows, context columns)."""
    isl = np.linspace(MAX_ISL / PREFILL_POINTS, MAX_ISL, PREFILL_POINTS)
    kv_tokens = np.linspace(0, MAX_KV_TOKENS, KV_ROWS)
    context = np.geomspace(MIN_CONTEXT, MAX_ISL, CONTEXT_COLUMNS)
    return {
        "prefill_isl": isl,
        "prefill_ttft_ms": np.array([ttft_ms(tp, tokens, whole) for tokens in isl]),
        "decode_active_kv_tokens": kv_tokens,
        "decode_context_length": context,
        "decode_itl": np.array(
            [[itl_ms(tp, kv / ctx, kv, whole) for ctx in context] for kv in kv_tokens]
        ),
    }


def npz_bytes(tp: int, whole: float = 0.0) -> bytes:
    """Return one profile as an uncompressed NPZ; the same bytes every time."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **profile_arrays(tp, whole))
    return buffer.getvalue()


def profile_files() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each profile."""
    for tp in TENSOR_PARALLEL_SIZES:
        yield f"tp-{tp}.npz", npz_bytes(tp)
    yield f"tep-{EXPERT_PARALLEL_SIZE}.npz", npz_bytes(EXPERT_PARALLEL_SIZE)
    yield f"dep-{EXPERT_PARALLEL_SIZE}.npz", npz_bytes(EXPERT_PARALLEL_SIZE, ATTENTION)


def config_map(name: str, namespace: str) -> dict[str, object]:
    """Render the ConfigMap that mocked candidates mount."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "binaryData": {
            file: base64.b64encode(content).decode() for file, content in profile_files()
        },
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the profiles to a folder, or print them as a ConfigMap."""
    parser = argparse.ArgumentParser(prog="hack.mocker_profiles", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, metavar="FOLDER", help="write the .npz files here")
    where.add_argument("--configmap", metavar="NAME", help="print a ConfigMap of this name as JSON")
    parser.add_argument("--namespace", default="default", help="namespace of the ConfigMap")
    chosen = parser.parse_args(arguments)
    if chosen.configmap:
        json.dump(config_map(chosen.configmap, chosen.namespace), sys.stdout)
        return 0
    chosen.out.mkdir(parents=True, exist_ok=True)
    for file, content in profile_files():
        (chosen.out / file).write_bytes(content)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
