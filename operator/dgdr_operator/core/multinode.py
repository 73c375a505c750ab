"""One engine over several nodes: the programs of its leader and of its other pods.

LeaderWorkerSet tells each pod ``LWS_LEADER_ADDRESS`` and ``LWS_WORKER_INDEX``; the flags by which
an engine's processes find each other are those that NVIDIA's operator adds.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from dgdr_api.gpus import Uncountable, least, pod_gpus
from dgdr_api.graph import Component, Graph
from dgdr_api.pods import whole_number

LEADER = "$(LWS_LEADER_ADDRESS)"
INDEX = "$(LWS_WORKER_INDEX)"
TORCH_PORT = 29500
VLLM_RPC_PORT = 13445

_SHELLS = frozenset({"sh", "bash"})
# -c, or with others, as in bash -lc.
_SCRIPT_FLAG = re.compile(r"-[a-z]*c")
_ENGINE = re.compile(r"\bdynamo\.(vllm|sglang|trtllm)\b")
# In a line of a script that is no comment.
_STARTED = re.compile(rf"^((?!\s*#).*?){_ENGINE.pattern}", re.MULTILINE)
_TP = ("--tensor-parallel-size", "-tp", "--tp-size", "--tp")
_PP = ("--pipeline-parallel-size", "-pp", "--pp-size")
_DP = ("--data-parallel-size", "-dp")


@dataclass(frozen=True, slots=True)
class Program:
    """What a container runs."""

    command: tuple[str, ...]
    args: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Programs:
    """What the leader of a group runs, and what its other pods do."""

    leader: Program
    worker: Program


def programs_of(graph: Graph, component: Component) -> Programs | str:
    """Return the programs of a component over several nodes; a text says why there are none."""
    own = Program(component.command, component.args)
    words = (*own.command, *own.args)
    if not words:
        return "an engine over several nodes needs its command and args in the manifest"
    found = _STARTED.search(" ".join(words))
    engine = found[2] if found else graph.backend
    if engine in ("vllm", "sglang") and _is_script(own) and not found:
        return (
            f"the script names no dynamo.{engine}, so nobody knows where the flags by which its "
            f"nodes find each other go; start it with python3 -m dynamo.{engine}"
        )
    match engine:
        case "vllm":
            return _vllm(component, own)
        case "sglang":
            return _sglang(component, own)
        case "trtllm":
            return (
                "TensorRT-LLM starts its ranks on other nodes by mpirun over SSH, which is not "
                "done here; run it on one node, or take vLLM or SGLang"
            )
        case _:  # a program of its own, which reads the variables itself
            return Programs(own, own)


def _vllm(component: Component, own: Program) -> Programs | str:
    """Spread ranks by data parallelism where one rank fits into a node, else each rank itself."""
    rank_gpus = _number(own, _TP) * _number(own, _PP)
    is_spread = _number(own, _DP) > 1
    # An engine that asks a device plug-in for its GPUs has other claims for its network.
    node_gpus = component.gpus or pod_gpus(component)
    if is_spread and isinstance(node_gpus, Uncountable):
        return node_gpus.why
    if is_spread and rank_gpus <= max(least(node_gpus), 1):
        if not own.command and not _STARTED.search(" ".join(own.args)):
            return (
                "ranks of data parallelism are numbered by a shell, which needs the program; say "
                "it in command, such as [python3, -m, dynamo.vllm]"
            )
        local = max(least(node_gpus) // rank_gpus, 1)

        def flags(start: str) -> tuple[str, ...]:
            return (
                *("--data-parallel-hybrid-lb", "--data-parallel-size-local", str(local)),
                *("--data-parallel-start-rank", start, "--data-parallel-address", LEADER),
                *("--data-parallel-rpc-port", str(VLLM_RPC_PORT)),
            )

        start = f"$(({local} * LWS_WORKER_INDEX))"  # nobody but a shell multiplies
        return Programs(_with(own, flags("0")), _with(_in_shell(own), flags(start)))
    ranks = ("--distributed-executor-backend", "mp", "--nnodes", str(component.nodes))
    meet = ("--master-addr", LEADER, "--master-port", str(TORCH_PORT))
    return Programs(
        _with(own, (*ranks, *meet, "--node-rank", "0")),
        _with(own, (*ranks, *meet, "--node-rank", INDEX, "--headless")),
    )


def _sglang(component: Component, own: Program) -> Programs:
    meet = ("--dist-init-addr", f"{LEADER}:{TORCH_PORT}", "--nnodes", str(component.nodes))
    return Programs(
        _with(own, (*meet, "--node-rank", "0")), _with(own, (*meet, "--node-rank", INDEX))
    )


def _with(program: Program, flags: Sequence[str]) -> Program:
    """Return the program with the flags: at the end, or in a script right after the engine's name.

    A script may go on after the engine's own flags.
    """
    if not _is_script(program):
        return Program(program.command, (*program.args, *flags))
    said = " ".join(flags)

    def added(found: re.Match[str]) -> str:
        return f"{found[0]} {said}"

    at = _script_at(program)
    words = [*program.command, *program.args]
    words[at] = _STARTED.sub(added, words[at], count=1)
    cut = len(program.command)
    return Program(tuple(words[:cut]), tuple(words[cut:]))


def _in_shell(program: Program) -> Program:
    if _is_script(program):
        return program
    line = " ".join(map(_quoted, (*program.command, *program.args)))
    return Program(("sh", "-c"), (f"exec {line}",))


def _quoted(word: str) -> str:
    return word if _ENGINE.fullmatch(word) else shlex.quote(word)


def _is_script(program: Program) -> bool:
    return _script_at(program) > 0


def _script_at(program: Program) -> int:
    """Return where a shell's script is among command and args; 0 where none is."""
    words = (*program.command, *program.args)
    if not words or words[0].rpartition("/")[2] not in _SHELLS:
        return 0
    flags = (at for at, word in enumerate(words[1:-1], 1) if _SCRIPT_FLAG.fullmatch(word))
    return next(flags, -1) + 1


def _number(program: Program, flags: Sequence[str]) -> int:
    """Return the value of the first of the flags that is given; 1 without one."""
    words = " ".join((*program.command, *program.args)).replace("\\\n", " ").split()
    for at, word in enumerate(words):
        flag, _, value = word.partition("=")
        if flag in flags:
            text = value or (words[at + 1] if at + 1 < len(words) else "")
            return whole_number(text) or 1
    return 1
