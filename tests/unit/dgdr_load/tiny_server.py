"""A tiny OpenAI endpoint with known times, to record real AIPerf exports against.

Not collected by pytest. ``record.py`` starts it; every n-th request can be made to hang, as a
Dynamo request does whose worker went away.
"""

import argparse
import asyncio
import json
import time
from typing import Any

from aiohttp import web

TTFT_S = 0.05
ITL_S = 0.01


def chunk(model: str, **fields: Any) -> bytes:
    body = {"id": "x", "object": "chat.completion.chunk", "created": int(time.time())}
    return b"data: " + json.dumps({**body, "model": model, **fields}).encode() + b"\n\n"


def choice(text: str, finish: str | None = None) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish}]


class Server:
    def __init__(self, hang_every: int, fail_every: int) -> None:
        self.hang_every = hang_every
        self.fail_every = fail_every
        self.seen = 0

    def _due(self, every: int) -> bool:
        return every > 0 and self.seen % every == 0

    async def chat(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.seen += 1
        if self._due(self.hang_every):
            await asyncio.sleep(3600)
        if self._due(self.fail_every):
            return web.json_response({"error": {"message": "no worker"}}, status=500)
        return await self._answer(request, asked)

    async def _answer(self, request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        model, tokens = asked["model"], int(asked.get("max_tokens", 16))
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await asyncio.sleep(TTFT_S)
        for number in range(tokens):
            if number:
                await asyncio.sleep(ITL_S)
            finish = "length" if number == tokens - 1 else None
            await answer.write(chunk(model, choices=choice(f"w{number} ", finish)))
        words = sum(len(m["content"].split()) for m in asked["messages"])
        usage = {"prompt_tokens": words, "completion_tokens": tokens}
        usage["total_tokens"] = sum(usage.values())
        await answer.write(chunk(model, choices=[], usage=usage))
        await answer.write(b"data: [DONE]\n\n")
        return answer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--hang-every", type=int, default=0)
    parser.add_argument("--fail-every", type=int, default=0)
    chosen = parser.parse_args()
    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_post("/v1/chat/completions", Server(chosen.hang_every, chosen.fail_every).chat)
    web.run_app(app, host="127.0.0.1", port=chosen.port, print=None)


if __name__ == "__main__":
    main()
