"""Output items of a Response: what each part of a transcript is called there, and what it looks like as JSON.

A text part is a message, a reasoning part a reasoning item, a call for the client a function call. A tool that the server
runs is an `mcp_call` of the server "holdfast": the one item of OpenAI's that is a call by name with arguments, output and
error, and that every client knows as run elsewhere; a bare function call would be run a second time by the client. The
result of a call for the client, where the request got it while it ran, is a function call's output.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from holdfast_protocol.live_part import LivePart

ItemKind = Literal["message", "reasoning", "function_call", "mcp_call", "function_call_output"]
ItemStatus = Literal["in_progress", "calling", "completed", "incomplete", "failed"]

SERVER_LABEL: Final = "holdfast"
"""Which server ran a tool, in the words of an `mcp_call`."""

_PREFIXES: Final[dict[ItemKind, str]] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "mcp_call": "mcp",
    "function_call_output": "fco",
}


class Annotation:
    """A citation in a message, and the source part that it stands and falls with."""

    __slots__ = ("part", "title", "url", "where")

    def __init__(self, part: int, url: str, title: str) -> None:
        self.part = part
        self.url = url
        self.title = title
        self.where = 0

    def shown(self) -> dict[str, Any]:
        """As JSON. An agent says what it cites, not where: the place is where the text ended when it said so."""
        return {
            "type": "url_citation",
            "start_index": self.where,
            "end_index": self.where,
            "url": self.url,
            "title": self.title,
        }


class Item:
    """An output item over a part of the fold, whose text it shares. `index` is its `output_index`: how many items were
    opened before it, so it is never used again. `part_number` is the part that it stands and falls with. `chars` counts
    the code points of its text. `call_id` is set for function calls and their outputs."""

    __slots__ = (
        "again", "annotations", "call_id", "chars", "id", "index", "kind", "part", "part_number", "status",
    )  # fmt: skip

    def __init__(
        self,
        kind: ItemKind,
        request_id: str,
        index: int,
        part_number: int,
        part: LivePart,
        *,
        call_id: str = "",
    ) -> None:
        self.kind: Final = kind
        self.id: Final = f"{_PREFIXES[kind]}_{request_id}_{index}"
        self.index: Final = index
        self.call_id: Final = call_id
        self.take(part_number, part)

    def take(self, part_number: int, part: LivePart, *, again: bool = False) -> None:
        """Begin, or begin again over another part: then what it grows by is not told, because clients would add it to
        what they have of it."""
        self.again = again
        self.part_number = part_number
        self.part = part
        self.status: ItemStatus = "in_progress"
        self.annotations: list[Annotation] = []
        self.chars = 0

    @property
    def open(self) -> bool:
        """Whether its `output_item.done` is still to come."""
        return self.status in ("in_progress", "calling")

    def content(self, text: str) -> dict[str, Any]:
        """Its one content part, with this text."""
        if self.kind == "reasoning":
            return {"type": "reasoning_text", "text": text}
        annotations = [annotation.shown() for annotation in self.annotations]
        return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}

    def begun(self) -> dict[str, Any]:
        """As it is added: without any content."""
        return self._shown([], "", "")

    def shown(self) -> dict[str, Any]:
        """As it is now; costs the size of its text."""
        match self.kind:
            case "message" | "reasoning":
                return self._shown([self.content(self.part.text)], "", "")
            case "function_call_output":
                return self._shown([], "", self.part.result)
        return self._shown([], self.part.text, self.part.result)

    def _shown(self, content: list[dict[str, Any]], arguments: str, output: str) -> dict[str, Any]:
        item: dict[str, Any] = {"id": self.id, "type": self.kind, "status": self.status}
        match self.kind:
            case "message":
                return {**item, "role": "assistant", "content": content}
            case "reasoning":
                return {**item, "summary": [], "content": content}
            case "function_call":
                return {
                    **item,
                    "call_id": self.call_id,
                    "name": self.part.fields["name"],
                    "arguments": arguments,
                }
            case "function_call_output":
                return {**item, "call_id": self.call_id, "output": output}
        failed = self.status == "failed"
        return {
            **item,
            "server_label": SERVER_LABEL,
            "name": self.part.fields["name"],
            "arguments": arguments,
            "output": output if self.status == "completed" else None,
            "error": error_of(output) if failed else None,
        }


def error_of(output: str) -> dict[str, Any]:
    """What a tool said when it failed, as the error of an `mcp_call`."""
    return {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": output}]}
