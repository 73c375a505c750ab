"""Which Prometheus an installation has, and the way to it from a user's machine."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, cast

import httpx
import kr8s
import kr8s.asyncio
import yaml
from kr8s.objects import ConfigMap

from dgdr_cli.prometheus import service_path
from dgdr_cli.refusals import readable_errors

# For one answer: a query over a month reads many samples.
ASK_S = 60.0


def installed_url(api: kr8s.Api) -> str | None:
    """Return what the chart told the planner; None where this user may not read that."""
    labels = {"app.kubernetes.io/part-of": "dgdr-operator"}
    try:
        found = api.get(ConfigMap, namespace=kr8s.ALL, label_selector=labels, raw=True)
        maps = cast("Iterator[dict[str, Any]]", found)
        texts = [(one.get("data") or {}).get("config.yaml") for one in maps]
    except kr8s.ServerError:
        return None
    urls = (yaml.safe_load(text)["prometheus"]["url"] for text in texts if text)
    return next((str(url) for url in urls if url), None)


def ask(context: str | None, url: str, path: str, params: Mapping[str, str]) -> tuple[int, Any]:
    """Get a path of a Prometheus: of a Service through the API server, of others at once.

    Raises:
        Unreachable: nobody answers.
    """
    service = service_path(url)
    with readable_errors():
        if service is None:
            return _answer(httpx.get(f"{url}/{path}", params=params, timeout=ASK_S))
        return asyncio.run(_through(context, service, path, params))


async def _through(
    context: str | None, service: str, path: str, params: Mapping[str, str]
) -> tuple[int, Any]:
    api = await kr8s.asyncio.api(context=context)
    call = api.call_api(
        "GET",
        version="",
        base=service,
        url=path,
        params=params,
        timeout=ASK_S,
        raise_for_status=False,
    )
    async with call as response:
        return _answer(response)


def _answer(response: httpx.Response) -> tuple[int, Any]:
    try:
        return response.status_code, response.json()
    except ValueError:
        return response.status_code, None
