"""What a session says has happened when it took a frame: the values that its shell acts on."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_protocol import pushes as psh
from holdfast_protocol import replies as rep


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The connection may be used; `welcome` says by whom, and how often to expect a sign of life."""

    welcome: rep.Welcome


@dataclass(frozen=True, slots=True)
class Replied:
    """The command `ref` was answered; an `Error` is an answer too."""

    ref: int
    reply: rep.Reply


@dataclass(frozen=True, slots=True)
class Changed:
    """What is known of a request has changed: more of it, its end, or that it is lost. Look at `following`."""

    request_id: str


@dataclass(frozen=True, slots=True)
class FeedChanged:
    """Rows of the feed that were news."""

    rows: tuple[rep.ChatRow | rep.RequestRow, ...]


@dataclass(frozen=True, slots=True)
class Noticed:
    """The server mentions something that is in no log."""

    notice: psh.Notice


@dataclass(frozen=True, slots=True)
class Complained:
    """The server could not read a frame of ours, or refused hello."""

    error: rep.Error


@dataclass(frozen=True, slots=True)
class PutOff:
    """The server cannot let a request be followed now; it is asked again over the next connection, with what is here."""

    error: rep.Error


Happening = Welcomed | Replied | Changed | FeedChanged | Noticed | Complained | PutOff
