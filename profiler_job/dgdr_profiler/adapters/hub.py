"""Asks the hub what a model is, without its libraries: two small files and a list of sizes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

import httpx

from dgdr_api import names
from dgdr_api.redaction import without_secrets
from dgdr_profiler.core.known_model import FactsSource, KnownModel, from_files

CONFIG = "config.json"
QUANTIZATION = "hf_quant_config.json"
DEFAULT_ENDPOINT = "https://huggingface.co"
TIMEOUT_S = 10.0

ENDPOINT_ENV = "HF_ENDPOINT"
OFFLINE_ENV = "HF_HUB_OFFLINE"
# The second is the earlier name, which the Job has always had.
TOKEN_ENVS = (names.HF_TOKEN_KEY, "HUGGING_FACE_HUB_TOKEN")
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


class _NoAnswer(Exception):
    """The hub has not what was asked for, or does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A hub of models, reached over HTTP; ``transport`` stands for the network in tests."""

    endpoint: str = DEFAULT_ENDPOINT
    token: str | None = None
    offline: bool = False
    transport: httpx.AsyncBaseTransport | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Hub":
        """Return the hub that an environment names, in the words of the hub's own libraries."""
        tokens = (environment.get(name, "").strip() for name in TOKEN_ENVS)
        return cls(
            endpoint=(environment.get(ENDPOINT_ENV) or DEFAULT_ENDPOINT).rstrip("/"),
            token=next(filter(None, tokens), None),
            offline=environment.get(OFFLINE_ENV, "").upper() in _TRUE,
        )

    async def read(self, model: str) -> KnownModel:
        """Return what the files of a model say; without an answer, why there is none.

        Raises:
            InvalidRequest: there is such a model, and its files describe none that engines serve.
        """
        if self.offline:
            return KnownModel(tried=(f"{OFFLINE_ENV} is set, so the hub is not asked",))
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        client = httpx.AsyncClient(
            base_url=self.endpoint,
            headers=headers,
            timeout=TIMEOUT_S,
            follow_redirects=True,
            transport=self.transport,
        )
        async with client:
            return await self._read(client, quote(model))

    async def _read(self, client: httpx.AsyncClient, model: str) -> KnownModel:
        address = without_secrets(f"{self.endpoint}/{model}")
        try:
            config = await _json(client, f"/{model}/resolve/main/{CONFIG}")
        except _NoAnswer as exc:
            return KnownModel(tried=(f"no {CONFIG} from {address}: {exc}",))
        try:
            quantization = await _json(client, f"/{model}/resolve/main/{QUANTIZATION}")
        except _NoAnswer:
            quantization = None
        try:
            sizes = _sizes(await _json(client, f"/api/models/{model}?blobs=true"))
        except _NoAnswer as exc:
            found = from_files(FactsSource.HUB, address, config, quantization)
            return replace(found, tried=(f"the hub does not say how large its files are: {exc}",))
        return from_files(FactsSource.HUB, address, config, quantization, sizes)


async def _json(client: httpx.AsyncClient, path: str) -> object:
    try:
        answer = await client.get(path)
        answer.raise_for_status()
        found: object = json.loads(answer.content)
        return found
    except httpx.HTTPStatusError as exc:
        raise _NoAnswer(_refusal(exc.response.status_code)) from exc
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise _NoAnswer(without_secrets(str(exc) or type(exc).__name__)) from exc
    except ValueError as exc:
        # Proxies answer with pages of their own.
        raise _NoAnswer("the answer is no JSON") from exc


def _refusal(status: int) -> str:
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return (
            f"HTTP {status}; the model does not exist, or Secret {names.HF_TOKEN_SECRET} needs a "
            f"{names.HF_TOKEN_KEY} that may read it"
        )
    return f"HTTP {status}"


def _sizes(answer: object) -> dict[str, int]:
    """Return the bytes of each file of a repository; files without a size are left out."""
    files = answer.get("siblings") if isinstance(answer, Mapping) else None
    listed = [f for f in files or () if isinstance(f, Mapping)] if isinstance(files, list) else []
    return {
        name: size
        for f in listed
        if isinstance(name := f.get("rfilename"), str) and isinstance(size := f.get("size"), int)
    }
