"""The roster: which connections there are, what each reads from, and who follows which log.

A connection has one source per name, and so many in all; adding one ends the one of that name before it. What the sources
bring, and when, is delivery's (delivery.py).
"""

from __future__ import annotations

from holdfast_protocol.errors import ProtocolError

from .connection import Connection, DeliveryLimits
from .journal import Place
from .pages import Shots
from .stores.log import Log
from .subscription import Lane, Source, Subscription, Topic, Witness


class Roster:
    """Who follows what. Whoever extends it says what it does when a source has something to read (`wake`)."""

    def __init__(self, limits: DeliveryLimits, witness: Witness | None) -> None:
        self.limits = limits
        self._witness = witness
        self._shots = Shots(limits)
        self._lanes: dict[Connection, Lane] = {}
        self._topics: dict[Log, Topic] = {}

    def room(self, connection: Connection) -> int:
        """How many subscriptions the connection may still add."""
        lane = self._lanes.get(connection)
        return max(0, self.limits.subscriptions - (len(lane.sources) if lane is not None else 0))

    def follows(self, connection: Connection, key: str) -> bool:
        """Whether it has a subscription by that name already; a new one would replace it."""
        lane = self._lanes.get(connection)
        return lane is not None and key in lane.sources

    def subscribe(self, connection: Connection, log: Log, place: Place) -> None:
        """Bring the log from `place` on, to its end; replaces an earlier subscription to the same request. Nothing is
        sent before the loop's next turn, so a reply that is written now comes first. Raises: ProtocolError
        too_many_subscriptions."""
        lane = self.lane(connection, log.key.request_id)
        if lane is None:
            return
        topic = self._topics.get(log)
        if topic is None:
            topic = self._topics[log] = Topic(log)
        subscription = Subscription(lane, topic, place, self._shots, self.limits)
        topic.subscriptions[subscription] = None
        self.add(subscription)
        if self._witness is not None:
            self._witness.began(subscription)

    def unsubscribe(self, connection: Connection, key: str) -> bool:
        """Stop bringing it; False if it was not followed."""
        lane = self._lanes.get(connection)
        source = lane.sources.get(key) if lane is not None else None
        if source is not None:
            self._end(source)
        return source is not None

    def lane(self, connection: Connection, key: str) -> Lane | None:
        """The lane on which a new source named `key` may be made; None if the connection has ended meanwhile. Raises:
        ProtocolError too_many_subscriptions."""
        if not self.follows(connection, key) and not self.room(connection):
            raise ProtocolError("too_many_subscriptions")
        return self._lanes.get(connection)

    def add(self, source: Source) -> None:
        """Read from this source from now on; one with the same key on the same connection ends."""
        earlier = source.lane.sources.get(source.key)
        if earlier is not None:
            self._end(earlier)
        source.lane.sources[source.key] = source
        self.wake(source)

    def wake(self, source: Source) -> None:
        """There may be something to pull."""
        raise NotImplementedError

    def _end(self, source: Source) -> None:
        source.ended = True
        lane = source.lane
        if lane.sources.get(source.key) is source:
            del lane.sources[source.key]
        if source.queued:
            source.queued = False
            lane.behind.remove(source)
        source.detach()
        if isinstance(source, Subscription):
            if self._witness is not None:
                self._witness.ended(source)
            if not source.topic.subscriptions:
                self._topics.pop(source.topic.log, None)

    def followers(self, log: Log) -> list[Subscription]:
        """Who follows that log."""
        topic = self._topics.get(log)
        return [] if topic is None else list(topic.subscriptions)

    def following(self) -> list[tuple[Log, list[Connection]]]:
        """The logs that are followed, and the connections that do."""
        return [
            (log, [source.lane.connection for source in topic.subscriptions])
            for log, topic in self._topics.items()
        ]
