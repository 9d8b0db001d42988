"""Clients that notice a silent connection within seconds, so that a test of it need not wait for the real heartbeat."""

from __future__ import annotations

import msgspec
import pytest

from holdfast_client.happenings import Happening, Welcomed
from holdfast_client.session import Session

HEARTBEAT_S = 1.0


def make_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every client behaves as if the server had promised a sign of life every HEARTBEAT_S."""
    receive = Session.receive

    def impatient(self: Session, data: bytes | str) -> list[Happening]:
        return [
            Welcomed(msgspec.structs.replace(happening.welcome, heartbeat_s=HEARTBEAT_S))
            if isinstance(happening, Welcomed)
            else happening
            for happening in receive(self, data)
        ]

    monkeypatch.setattr(Session, "receive", impatient)
    monkeypatch.setattr("holdfast_client.connection.OPEN_DEADLINE_S", HEARTBEAT_S)
