"""OpenAI's own Python types and accumulator, as judges of the stream events and objects that a projection makes."""

from __future__ import annotations

from typing import Any

from openai import omit
from openai._models import construct_type
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ParsedResponse, Response, ResponseItem, ResponseStreamEvent
from pydantic import TypeAdapter

from holdfast_server.projections.responses import is_extension

EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
ITEMS: TypeAdapter[Any] = TypeAdapter(ResponseItem)


def check_frame(frame: dict[str, Any]) -> None:
    """A stream event is of OpenAI's types to the letter, or is named as one of our own. Raises: ValidationError."""
    if is_extension(frame):
        return
    EVENTS.validate_python(frame, strict=True)
    if "response" in frame:
        check_response(frame["response"])


def check_response(response: dict[str, Any]) -> None:
    """The object is of OpenAI's types to the letter. Raises: ValidationError."""
    Response.model_validate(response, strict=True)


def check_input(item: dict[str, Any]) -> None:
    """The item is one that a list of input items may hold. Raises: ValidationError."""
    ITEMS.validate_python(item, strict=True)


class Gathered:
    """What the SDK's stream has gathered from these frames: what it hands to its user, and what it ends with."""

    def __init__(self, frames: list[dict[str, Any]]) -> None:
        state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
        self.handed: list[Any] = []
        for frame in frames:
            event = construct_type(type_=ResponseStreamEvent, value=frame)
            self.handed += state.handle_event(event)  # type: ignore[arg-type]
        self.completed: ParsedResponse[Any] | None = state._completed_response
        self.items: dict[int, Any] = state._output_items
