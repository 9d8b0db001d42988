"""Every bound the two ends must agree on, by name, with its reason.

A limit that only the server needs lives with the part it protects (and in the configuration where an operator may
move it); this page holds the ones that a client must know to behave.
"""

from __future__ import annotations

from typing import Final

OFFSET_MAX: Final = 2**53 - 1
"""Offsets, times and refs stay exact in a JavaScript number."""

ID_CHARS_MAX: Final = 64
"""A UUID is 36; ids are keys of indexes and appear in every push, so they stay short."""

ID_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}$(?!\n)"
"""Ids reach logs, URLs and file names: a grammar without escapes makes all three safe. Python's `$` also stands before a
last line break; what follows it says no to that, in every dialect that reads the schema."""

COMMAND_BYTES_MAX: Final = 1024 * 1024
"""One command frame. A long prompt with its history fits; larger inputs belong to uploads."""

COMMAND_BYTES_MAX_BEFORE_HELLO: Final = 4 * 1024
"""What an unauthenticated connection may send: a hello with a token, nothing more."""

TEXT_BYTES_MAX: Final = 512 * 1024
"""UTF-8 bytes of one message's text; half a command frame, because JSON escapes may double it."""

OPTIONS_DEPTH_MAX: Final = 16
"""Nesting of free-form values (options, decisions, data): deeper ones only serve to exhaust a parser's stack."""

CALL_CHARS_MAX: Final = 4096
"""The id and the name of a tool call that comes back with a conversation: as long as an answer's own call may have them,
for some providers keep more than a number in the id."""

CALLS_PER_MESSAGE_MAX: Final = 128
"""Tool calls of one message; providers take no more tools than that."""

OPTIONS_VALUES_MAX: Final = 100_000
"""Values in a free-form value: a command of nothing but brackets would hold up everybody on the server while it is looked
through."""

SUBMITS_PER_COMMAND_MAX: Final = 100
"""Requests in one submit_many: one group commit, one reply of bounded size."""

PROBES_PER_COMMAND_MAX: Final = 200
"""Ids in one probe; a page of a sidebar."""

LIST_LIMIT_MAX: Final = 200
"""Rows a list command returns at most; more by paging."""

LIST_LIMIT_DEFAULT: Final = 50

SUBSCRIPTIONS_PER_CONNECTION_MAX: Final = 500
"""Journals one connection follows at once; beyond it the client uses the feed and subscribes to what is on screen."""

PAGE_BYTES_MAX: Final = 256 * 1024
"""Text bytes in one page push; well below the 1 MiB message bound that common WebSocket clients default to."""

DELTA_BYTES_MAX: Final = 16 * 1024
"""UTF-8 bytes of one stored delta event: a page can always be cut between events."""

MERGED_DELTA_BYTES_MAX: Final = 64 * 1024
"""UTF-8 bytes of a delta that stands for several; at least DELTA_BYTES_MAX, so that a text re-cut into merged pieces
never has more pieces than it had events."""

EVENT_BYTES_MAX: Final = 256 * 1024
"""Encoded bytes of any other stored event (a tool's result, a data part); longer values are cut, and say so."""

READERS_MAX: Final = 100
"""Spans of readers kept of one request, the latest: who followed it is for people to look at, not an audit."""

TERMS_MAX: Final = 200
"""Terms of one request in one reply, the latest; a request that was taken up more often has other troubles."""

OWNER_CHARS_MAX: Final = 129
"""A tenant and a user of 64 characters each, and the slash between them."""

CLIENT_CHARS_MAX: Final = 200
"""What a client may say of itself in `hello`; it is shown to people, and stored with what it read."""

TITLE_CHARS_MAX: Final = 200
QUERY_CHARS_MAX: Final = 200

HEARTBEAT_S: Final = 20.0
"""How often the server pings; a client that hears nothing for twice as long reconnects."""

HELLO_DEADLINE_S: Final = 5.0
"""How long a connection without credentials may stay silent."""
