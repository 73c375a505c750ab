"""What differs between Dynamo's releases in how engines are started: the table, and who reads it.

Each row names where it was read. "Wheel" is the package ``ai-dynamo`` of that release, and for
SGLang the ``sglang`` that it pins: 0.5.9 (1.0), 0.5.10 (1.1), 0.5.18 (1.5), 0.5.21 (1.6).
"""

import re
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """A release of Dynamo, without its patch number: no patch changed a flag so far."""

    major: int
    minor: int

    def has(self, feature: "Feature") -> bool:
        """Whether the release knows a flag."""
        return self >= SINCE[feature]


class Feature(StrEnum):
    """A flag that some supported release does not know."""

    DISAGGREGATION_MODE = "vllm --disaggregation-mode"
    """vLLM's role is a mode; before, the switches ``--is-prefill-worker`` and
    ``--is-decode-worker``, which 1.0 refuses beside it and 1.5 does not know."""
    KV_TRANSFER_CONFIG = "vllm --kv-transfer-config"
    """How keys and values travel must be said; before, NIXL both ways is the default of
    ``--connector``, which refuses to stand beside it."""
    CUDA_GRAPH_BY_PHASE = "sglang --cuda-graph-bs-decode"
    """CUDA graphs are sized for each phase; before, ``--cuda-graph-bs`` and
    ``--cuda-graph-max-bs``, which SGLang 0.5.18 still takes and 0.5.21 does not."""
    DOTTED_OPTIONS = "trtllm --trtllm.KEY.KEY VALUE"
    """Single engine options; before, ``--override-engine-args`` with JSON alone. Either excludes
    the other."""
    KV_EVENTS = "trtllm --publish-kv-events"
    """Events for the KV router, without the statistics that ``--publish-events-and-metrics``
    also switched on."""
    EVENTS_OF_UNLIKE_LAYERS = "vllm --kv-events-config"
    """vLLM keeps its allocator for unlike layers beside KV events; before, layers with a window
    then hold whole requests, and models with layers that keep a state do not start."""
    SYSTEM_PORT_ALONE = "DYN_SYSTEM_PORT"
    """The port of a worker's probes is opened by its number; before, by ``DYN_SYSTEM_ENABLED``,
    which 1.0 calls deprecated and passes over."""
    MOCKER_WITHOUT_NATS = "python3 -m dynamo.mocker"
    """The mocker asks for a NATS server only where a plane uses one; before, always."""
    PLANNER_WITHOUT_NATS = "python3 -m dynamo.planner"
    """Upstream's planners, the global one too, ask for a NATS server only where a plane uses it;
    before, always."""
    PLANNER_TELLS_HEALTH = "/health of a planner"
    """Upstream's planners become ready at the port of their probes; before, they never do."""
    MOCKED_SGLANG = "mocker --engine-type sglang"
    """The mocker schedules like SGLang; before, like vLLM alone."""
    MOCKED_TRTLLM = "mocker --engine-type trtllm"
    """The mocker schedules like TensorRT-LLM."""


SINCE = {
    # Wheels 0.9.1, 1.0.2: dynamo/vllm/args.py, dynamo/vllm/backend_args.py.
    Feature.DISAGGREGATION_MODE: Release(1, 0),
    # Wheels 0.9.1, 1.0.2: dynamo/vllm/args.py.
    Feature.KV_TRANSFER_CONFIG: Release(1, 0),
    # sglang 0.5.10, 0.5.18, 0.5.21: sglang/srt/server_args.py, sglang/srt/arg_groups/fields.
    Feature.CUDA_GRAPH_BY_PHASE: Release(1, 5),
    # Wheels 1.0.2, 1.1.0: dynamo/trtllm/args.py, dynamo/trtllm/dynamic_flags.py.
    Feature.DOTTED_OPTIONS: Release(1, 1),
    # Wheels 1.1.0, 1.5.0: dynamo/trtllm/backend_args.py.
    Feature.KV_EVENTS: Release(1, 5),
    # vLLM 0.19.0, 0.28.0, which 1.1 and 1.5 pin.
    Feature.EVENTS_OF_UNLIKE_LAYERS: Release(1, 5),
    # Wheel 1.0.2 warns of DYN_SYSTEM_ENABLED.
    Feature.SYSTEM_PORT_ALONE: Release(1, 0),
    # Wheels 1.0.2, 1.1.0, 1.6.1: dynamo/mocker/main.py.
    Feature.MOCKER_WITHOUT_NATS: Release(1, 1),
    # Wheels ai-dynamo-runtime 0.9.1, 1.0.2, 1.1.0: dynamo/runtime/__init__.py, ``dynamo_worker``.
    Feature.PLANNER_WITHOUT_NATS: Release(1, 1),
    # Wheels 0.9.1, 1.0.2, 1.1.0: dynamo/planner/__main__.py, dynamo/global_planner/__main__.py.
    Feature.PLANNER_TELLS_HEALTH: Release(1, 1),
    # Wheels 1.0.2, 1.1.0, 1.5.0: dynamo/mocker/args.py.
    Feature.MOCKED_SGLANG: Release(1, 1),
    Feature.MOCKED_TRTLLM: Release(1, 5),
}
NEWEST = Release(1, 6)
_VERSION = re.compile(r"^v?(\d{1,4})\.(\d{1,4})(?![\w])")


def release_of(runtime_version: str | None, image: str | None) -> Release:
    """Return the release that the workers run.

    Args:
        runtime_version: ``spec.runtimeVersionOverride``; it wins.
        image: the workers' image, whose tag is read next. A tag that is no version, or none, means
            the newest release that is known.
    """
    return _parsed(runtime_version) or release_in_tag(image) or NEWEST


def release_in_tag(image: str | None) -> Release | None:
    """Return the release that an image's tag names; None where it names none."""
    last = (image or "").rpartition("/")[2]
    return _parsed(last.partition("@")[0].partition(":")[2])


def _parsed(text: str | None) -> Release | None:
    found = _VERSION.match(text or "")
    return Release(int(found[1]), int(found[2])) if found else None
