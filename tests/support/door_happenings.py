"""What happens to an answer that is half shown (tests/support/door_table.py), written by a pen as a runner would write it. Each
says what stands in the end."""

from __future__ import annotations

import msgspec

from holdfast_protocol import events as ev
from tests.support.door_table import Line, TableRig

WAIT_ID, DIGEST = "w1", "d1"
TOO_LONG = "The answer is longer than 10 bytes; what was shown stands."


async def superseded_whole(rig: TableRig, _: Line) -> None:
    """A new attempt drops everything. What stands: `Right`."""
    await rig.anew("none")
    await rig.part("Right")
    await rig.completed()


async def superseded_behind_checkpoint(rig: TableRig, _: Line) -> None:
    """A new attempt keeps what stood at the checkpoint. What stands: `One Right`."""
    events = rig.pen_.log.events
    (offset,) = (n for n, event in enumerate(events) if isinstance(event, ev.Checkpoint))
    await rig.anew(offset)
    await rig.part("Right")
    await rig.completed()


async def gone_on_with(rig: TableRig, _: Line) -> None:
    """A new attempt keeps everything, and goes on in the text that is open. What stands: `One half and more`."""
    await rig.anew("all", "recovered")
    await rig.pen_.say(" and more")
    await rig.pen_.put(ev.PartDone(at=rig.now_ms(), part=rig.pen_.part))
    await rig.completed()


async def waited_for(rig: TableRig, line: Line) -> None:
    """It asks a person, who decides by the native API while everybody reads on. What stands: `One half` and `After`."""
    await parked(rig)
    await line.waits()
    body = {"wait_id": WAIT_ID, "digest": DIGEST, "decision": True}
    reply = await rig.ann.call("POST", f"/v1/requests/{rig.pen_.request_id}/decide", body)
    assert (reply.status, reply.body) == (200, {"accepted": True})
    await rig.taken_up()
    await rig.pen_.put(ev.Decided(at=rig.now_ms(), part=2, wait_id=WAIT_ID, decision=True))
    await rig.part("After")
    await rig.completed()


async def waited_for_in_vain(rig: TableRig, line: Line) -> None:
    """It asks a person, and time decides. What stands: `One half` and `After`."""
    await parked(rig, expires_at=rig.now_ms() + 200)
    await line.waits()
    await rig.taken_up()
    await rig.pen_.put(ev.Decided(at=rig.now_ms(), part=2, wait_id=WAIT_ID, expired=True))
    body = {"wait_id": WAIT_ID, "digest": DIGEST, "decision": True}
    late = await rig.ann.call("POST", f"/v1/requests/{rig.pen_.request_id}/decide", body)
    assert (late.status, late.code) == (409, "not_waiting")
    await rig.part("After")
    await rig.completed()


async def parked(rig: TableRig, expires_at: int | None = None) -> None:
    """It holds neither task nor lease, and waits for a person."""
    pen = rig.pen_
    await pen.put(ev.PartDone(at=rig.now_ms(), part=pen.part))
    waiting = ev.Waiting(
        at=rig.now_ms(), part=2, wait_id=WAIT_ID, kind="approval", body={"pay": 5}, digest=DIGEST, expires_at=expires_at
    )  # fmt: skip
    await rig.store.park(pen._claim, 0, waiting)
    assert (pen.log.status, pen.log.lease) == ("waiting", False)


async def stopped(rig: TableRig, _: Line) -> None:
    """A person stops it. What stands: `One half`."""
    reply = await rig.ann.call("POST", f"/v1/requests/{rig.pen_.request_id}/cancel")
    assert reply.body == {"won": True, "status": "cancelled"}


async def too_long(rig: TableRig, _: Line) -> None:
    """It has become longer than an answer may be, and fails as the runner lets it. What stands: `One half`."""
    await rig.pen_.put(ev.Failed(at=rig.now_ms(), code="too_long", message=TOO_LONG))


async def ended(rig: TableRig, _: Line | None) -> None:
    """All goes well. What stands: `One half`."""
    await rig.pen_.put(ev.PartDone(at=rig.now_ms(), part=rig.pen_.part))
    await rig.completed()


async def handed_over(rig: TableRig, _: Line) -> None:
    """The server is drained, and the next one goes on, in the same attempt. What stands: `One half and more`."""
    await rig.store.release(rig.pen_._claim)
    await rig.taken_up()
    assert rig.pen_.log.events[-1].reason == "handed_over"
    await rig.pen_.say(" and more")
    await ended(rig, _)


async def of_a_later_release(rig: TableRig, _: Line) -> None:
    """Between its texts are events of kinds that nobody here knows, one of which opens a part, and a text in that. What stands:
    `One half` and `After`."""
    pen, now = rig.pen_, rig.now_ms()
    await pen.put(ev.PartDone(at=now, part=1))
    for kind, part in (("glow", None), ("hologram", 2), ("hologram", 2)):
        raw = msgspec.msgpack.encode({"type": kind, "at": now} | ({} if part is None else {"part": part}))
        await pen.put(ev.Unknown(at=now, type=kind, part=part, raw=raw))
    await pen.put(ev.Delta(at=now, part=2, text="a ray of a hologram"), ev.PartDone(at=now, part=2))
    await rig.part("After")
    await rig.completed()


async def purged(rig: TableRig) -> None:
    """Its journal is gone; the history has the answer."""
    await rig.projector.catch_up(rig.pen_.log.key.owner)
    assert await rig.store.purge(rig.now_ms() + 1, 0) == 1
