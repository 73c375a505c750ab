"""Which role a v1alpha1 service has.

Two thirds of disaggregated graphs type all engines ``worker``: what prefills and what decodes is
said by ``subComponentType``, by the engine's arguments or, as upstream's planner takes it in the
end, by the name.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from dgdr_api.graph import Json, Role

_PAIR = (Role.PREFILL, Role.DECODE)
_FLAGS = {"--is-prefill-worker": Role.PREFILL, "--is-decode-worker": Role.DECODE}
_MODE = "--disaggregation-mode"
# Types that say which role it is; ``worker`` may be any of the engines.
_STATED = tuple(role for role in Role if role is not Role.WORKER)
_NAMED = (Role.FRONTEND, Role.PLANNER, Role.EPP)
_ENGINES = re.compile(r"\bdynamo\.(vllm|sglang|trtllm|mocker)\b")
_ENGINE_NAMES = ("worker", *_PAIR)
_KINDS, _NO_GPU = ("limits", "requests"), (None, "", "0", 0)


def roles_of(services: Mapping[str, Json]) -> dict[str, Role]:
    """Return the role of each service.

    A type that v1beta1 does not have, such as ``main`` or ``default``, or none, is a worker's where
    an engine is started, GPUs are asked for or the name says so. All else, such as a router between
    graphs, has no role in v1beta1 either.
    """
    stated = {name: _stated(service) for name, service in services.items()}
    named = {name: stated[name] or _role_in(name, _PAIR) for name in services}
    # An engine named decode is an ordinary worker where nothing prefills: upstream's aggregated
    # graphs name theirs so.
    is_pair = set(_PAIR) <= set(named.values())
    return {
        name: stated[name] or (is_pair and named[name]) or _other(name, service)
        for name, service in services.items()
    }


def types_of(role: Role) -> tuple[str, str | None]:
    """Return a role as ``componentType`` and ``subComponentType``."""
    if role in _PAIR:
        return Role.WORKER.value, role.value
    return role.value, None


def _stated(service: Json) -> Role | None:
    kind, sub = service.get("componentType"), service.get("subComponentType")
    if kind in _STATED:
        return Role(kind)
    if sub in _PAIR:
        return Role(sub)
    return _role_in_arguments(_words(service))


def _role_in_arguments(words: list[str]) -> Role | None:
    for word, following in pairwise([*words, ""]):
        flag, _, value = word.partition("=")
        if flag in _FLAGS:
            return _FLAGS[flag]
        mode = (value or following).strip("\"'")
        if flag == _MODE and mode in _PAIR:
            return Role(mode)
    return None


def _words(service: Json) -> list[str]:
    """Return the words of a command, also of a shell's; what is malformed says nothing."""
    pod: Any = service.get("extraPodSpec")
    main = pod.get("mainContainer") if isinstance(pod, Mapping) else None
    if not isinstance(main, Mapping):
        return []
    parts = [main.get(key) for key in ("command", "args")]
    texts = [text for part in parts if isinstance(part, list) for text in part]
    return [word for text in texts if isinstance(text, str) for word in text.split()]


def _role_in(name: str, roles: tuple[Role, ...]) -> Role | None:
    found = [role for role in roles if role.value in name.lower()]
    return found[0] if len(found) == 1 else None


def _other(name: str, service: Json) -> Role:
    if service.get("componentType") == Role.WORKER or _is_engine(name, service):
        return Role.WORKER
    return next((role for role in _NAMED if name.lower() == role.value), Role.NONE)


def _is_engine(name: str, service: Json) -> bool:
    says_so = any(word in name.lower() for word in _ENGINE_NAMES)
    return says_so or _asks_for_gpus(service) or bool(_ENGINES.search(" ".join(_words(service))))


def _asks_for_gpus(service: Json) -> bool:
    resources = service.get("resources")
    amounts = [resources.get(kind) for kind in _KINDS] if isinstance(resources, Mapping) else []
    return any(isinstance(one, Mapping) and one.get("gpu") not in _NO_GPU for one in amounts)
