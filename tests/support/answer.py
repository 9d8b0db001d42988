"""One call being answered, as its script says: the frames on the wire and the faults between them."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from typing import Any

from aiohttp import web

from tests.support.calls import Call, CallLog
from tests.support.level import Level
from tests.support.script import (
    Delta,
    Fault,
    Script,
    deltas_of,
    expected_reasoning,
    expected_text,
    fault_of,
    finish_reason_of,
    is_faulty,
    writes_of,
)

_CHUNK = "chat.completion.chunk"
_ERROR_TYPES = {429: "rate_limit_error", 401: "authentication_error", 408: "timeout_error"}
_FOR_EVER_S = 86_400.0  # longer than any test run


class Releases:
    """Which held calls may go on."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._level = Level()

    def release(self, key: str) -> None:
        """Lets the calls of `key` go on, now and later; those of all where it is empty."""
        self._keys.add(key)
        self._level.notify()

    def reset(self) -> None:
        """Holds again."""
        self._keys.clear()

    async def released(self, key: str) -> None:
        """Returns once `key`, or all, has been released, however long that takes."""
        await self._level.until(lambda: bool({key, ""} & self._keys), _FOR_EVER_S)


class Answer:
    """One call being answered."""

    def __init__(
        self,
        *,
        request: web.Request,
        body: dict[str, Any],
        script: Script,
        call: Call,
        log: CallLog,
        releases: Releases,
    ) -> None:
        self._request = request
        self._log = log
        self._releases = releases
        self._script = script
        self._call = call
        options = body.get("stream_options") or {}
        asked = script.usage == "asked" and bool(options.get("include_usage"))
        self._with_usage = script.usage == "always" or asked or (script.usage == "asked" and not call.stream)
        self._prompt_tokens = max(1, len(json.dumps(body["messages"])) // 4)
        self._head = {"id": f"chatcmpl-{call.number}", "created": int(time.time()), "model": call.model}
        self.outcome = "completed"
        self.response = web.StreamResponse()

    async def give(self) -> web.StreamResponse:
        """Answers, faults included; `outcome` then says how it ended."""
        script, call = self._script, self._call
        if script.slow_first_ms:
            await asyncio.sleep(script.slow_first_ms / 1000)
        if script.status is not None and is_faulty(script, call.nth):
            return self._status(script.status)
        deltas = deltas_of(script, call.nth)
        fault, after = fault_of(script, call.nth) or (None, len(deltas))
        if not call.stream:
            return await self._whole(deltas, fault)
        self.response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        self.response.headers["x-request-id"] = f"req-{call.number}"
        self.response.enable_chunked_encoding()
        await self.response.prepare(self._request)
        await self._write(self._frame({"role": "assistant", "content": ""}))
        for index, delta in enumerate(deltas):
            if index == script.hold:
                await self._wait_release()
            if fault and index == after and await self._fail(fault, self._frame(delta.wire)):
                return self.response
            if index:
                await asyncio.sleep(script.gap_ms / 1000)  # 0 too: other streams have their turn
            await self._write(self._frame(delta.wire))
            call.deltas += 1
            if script.stamp:
                call.stamps.append(time.monotonic())
            self._log.touch()
        if script.hold is not None and script.hold >= len(deltas):
            await self._wait_release()
        last = self._frame({}, finish_reason_of(script))
        if fault and after >= len(deltas) and await self._fail(fault, last):
            return self.response
        await self._write(last)
        if self._with_usage:
            await self._write(
                _event({**self._head, "object": _CHUNK, "choices": [], "usage": self._usage(len(deltas))})
            )
        await self._write(b"data: [DONE]\n\n")
        return self.response

    async def _fail(self, fault: Fault, frame: bytes) -> bool:
        """Commits the fault in place of `frame`; whether the answer ends with it."""
        self.outcome = fault
        if fault == "stall":
            self._call.stalled = True
            self._log.touch()
            await asyncio.Event().wait()  # until the client goes: its end cancels us
        elif fault == "garbage":
            await self._write(b'data: {"choices": [{"delta"\n\n')
            return False
        elif fault == "error_object":
            await self._write(_event(_error(500, "the model fell over in the middle")))
        elif fault == "half_line":
            await self._write(frame[: len(frame) // 2])
        if fault in ("cut", "half_line") and self._script.cut_by != "eof":
            self._break(reset=self._script.cut_by == "rst")
        return True

    async def _whole(self, deltas: list[Delta], fault: Fault | None) -> web.StreamResponse:
        """The answer to a call that does not stream; faults between deltas become faults of the one body."""
        await asyncio.sleep(self._script.gap_ms * len(deltas) / 1000)
        if self._script.hold is not None:
            await self._wait_release()
        message: dict[str, Any] = {
            "role": "assistant",
            "content": expected_text(self._script, self._call.nth),
        }
        if reasoning := expected_reasoning(self._script, self._call.nth):
            message["reasoning_content"] = reasoning
        if self._script.tool_calls:
            message["tool_calls"] = [
                {
                    "id": tool.id,
                    "type": "function",
                    "function": {"name": tool.name, "arguments": tool.arguments},
                }
                for tool in self._script.tool_calls
            ]
        choice = {"index": 0, "message": message, "finish_reason": finish_reason_of(self._script)}
        whole: dict[str, Any] = {**self._head, "object": "chat.completion", "choices": [choice]}
        if self._with_usage:
            whole["usage"] = self._usage(len(deltas))
        body = json.dumps(whole, ensure_ascii=self._script.escaped).encode()
        if fault == "error_object":
            self.outcome = fault
            return refusal(500, "the model fell over in the middle")
        if fault == "garbage":
            self.outcome, body, fault = fault, b'{"choices": [{', None
        self.response = web.StreamResponse(headers={"Content-Type": "application/json"})
        self.response.content_length = len(body)
        if fault:
            await self.response.prepare(self._request)
            await self._write(body[: len(body) // 2] if fault in ("half_line", "eof") else b"")
            self.outcome = fault
            if fault == "stall":
                await self._fail(fault, b"")
            self._break(reset=self._script.cut_by == "rst")
            return self.response
        await self.response.prepare(self._request)
        await self._write(body)
        self._call.deltas = len(deltas)
        return self.response

    def _status(self, status: int) -> web.Response:
        self.outcome = f"status_{status}"
        response = refusal(status, f"scripted {status}, call {self._call.nth} of its key")
        if self._script.retry_after_s is not None:
            response.headers["Retry-After"] = f"{self._script.retry_after_s:g}"
        if self._script.retry_after_ms is not None:
            response.headers["retry-after-ms"] = f"{self._script.retry_after_ms:g}"
        return response

    async def _wait_release(self) -> None:
        self._call.stalled = True
        self._log.touch()
        await self._releases.released(self._call.key)

    async def _write(self, frame: bytes) -> None:
        for piece in writes_of(frame, self._script):
            await self.response.write(piece)
            self._call.bytes += len(piece)

    def _break(self, *, reset: bool) -> None:
        """Ends the TCP connection without the end of the HTTP body: by RST, or by FIN."""
        transport = self._request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        if reset:
            raw: socket.socket = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()

    def _frame(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _event({**self._head, "object": _CHUNK, "choices": [choice]}, escaped=self._script.escaped)

    def _usage(self, deltas: int) -> dict[str, int]:
        tokens = self._prompt_tokens
        return {"prompt_tokens": tokens, "completion_tokens": deltas, "total_tokens": tokens + deltas}


def _event(value: dict[str, Any], *, escaped: bool = False) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=escaped, separators=(",", ":")).encode() + b"\n\n"


def _error(status: int, message: str) -> dict[str, Any]:
    kind = _ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": f"scripted_{status}"}}


def refusal(status: int, message: str) -> web.Response:
    """An HTTP error with the body that the API gives."""
    return web.json_response(_error(status, message), status=status)
