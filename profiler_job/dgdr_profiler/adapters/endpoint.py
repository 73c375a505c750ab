"""A candidate's OpenAI endpoint: what is asked of it beside the load."""

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

from dgdr_profiler.core.errors import MeasurementFailed

LIST_TIMEOUT_S = 5.0
CHAT_TIMEOUT_S = 60.0


async def serves(url: str, model: str) -> bool:
    """Whether the model is listed and answers.

    A Ready frontend may know no model yet; one that lists it may refuse the first requests for a
    moment, until it has heard of the workers of both roles.
    """
    return await asyncio.to_thread(_serves, url, model)


def prompt_tokens(url: str, model: str, text: str) -> int:
    """Return how many tokens the server counts in a prompt, chat template included.

    Raises:
        MeasurementFailed: it does not answer, or does not say.
    """
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 1}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        return int(_json(request, CHAT_TIMEOUT_S)["usage"]["prompt_tokens"])
    except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError) as exc:
        raise MeasurementFailed(f"{url} does not say how many tokens a prompt has: {exc}") from exc


def _serves(url: str, model: str) -> bool:
    try:
        listed = _json(urllib.request.Request(f"{url}/v1/models"), LIST_TIMEOUT_S)
        if model not in [entry.get("id") for entry in listed.get("data") or ()]:
            return False
        return prompt_tokens(url, model, "ready") > 0
    except (urllib.error.URLError, OSError, ValueError, MeasurementFailed):
        return False


def _json(request: urllib.request.Request, timeout_s: float) -> Any:
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:
        return json.load(answer)
