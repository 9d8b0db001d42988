"""A part of a transcript in the making: what a fold adds to, and what it looks like when it is asked for.

Text is kept in pieces and joined when it is asked for, because adding to a string costs its length each time.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

from . import transcript as tr


class LivePart:
    """A part that may still change: its opening values, its text in pieces, its running CRC."""

    __slots__ = ("bytes", "chunks", "crc", "fields", "kind", "open", "result", "state")

    def __init__(self, kind: str, fields: dict[str, Any], *, open_: bool = False, state: str = "") -> None:
        self.kind = kind
        self.fields = fields
        self.open = open_
        self.state = state
        self.chunks: list[str] = []
        self.result = ""
        self.crc = 0
        self.bytes = 0

    def shown(self, text: str, keep: bool) -> None:
        """Count `text` into the digest, and keep it if asked."""
        raw = text.encode()
        self.crc = crc32(raw, self.crc)
        self.bytes += len(raw)
        if keep:
            self.chunks.append(text)

    @property
    def text(self) -> str:
        """The text so far; joins the pieces in place, so that asking twice costs once."""
        if len(self.chunks) > 1:
            self.chunks[:] = ["".join(self.chunks)]
        return self.chunks[0] if self.chunks else ""

    def frozen(self) -> tr.TranscriptPart:
        """The value at this point."""
        fields = self.fields
        match self.kind:
            case "text":
                return tr.TextPart(at=fields["at"], text=self.text, open=self.open)
            case "reasoning":
                return tr.ReasoningPart(at=fields["at"], text=self.text, open=self.open)
            case "tool":
                state: Any = self.state
                return tr.ToolPart(**fields, arguments=self.text, result=self.result, state=state)
            case "progress":
                progress: Any = self.state
                return tr.ProgressPart(**fields, state=progress)
            case "data":
                return tr.DataPart(**fields)
            case "source":
                return tr.SourcePart(**fields)
            case "file":
                return tr.FilePart(**fields)
            case "input":
                return tr.InputPart(**fields, text=self.text)
            case "wait":
                wait: Any = self.state
                values = dict(fields)
                values["wait_kind"] = values.pop("kind")
                return tr.WaitPart(**values, state=wait)
            case "unknown":
                return tr.UnknownPart(**fields)
        raise AssertionError(self.kind)
