"""What Redis' errors mean to a store: which of them pass by themselves, which are our own functions' answers."""

from __future__ import annotations

from redis.exceptions import RedisError

from holdfast_server.stores.base import StorageFull, StoreError, Unavailable

OURS = "HF"  # errors that our functions return begin with it
TEXT_CHARS_MAX = 300  # of an error of Redis shown to people

MISSING = "ERR Function not found"

SENTENCES = {
    "LOADING": "Redis is reading its data after a start.",
    "BUSY": "Redis is busy with a script that takes too long.",
    "MISCONF": "Redis cannot write to its disk and takes nothing: see its log for why.",
    "NOREPLICAS": "Redis has fewer replicas than its min-replicas-to-write wants, and takes nothing.",
    "READONLY": "This Redis is a replica now; looking for the new master.",
    "MASTERDOWN": "This Redis is a replica without its master.",
    "CLUSTERDOWN": "The Redis Cluster does not serve all of its slots.",
    "TRYAGAIN": "The Redis Cluster is moving these keys.",
    "ASK": "The Redis Cluster is moving these keys.",
    "MOVED": "The Redis Cluster moved these keys again and again.",
    "NOAUTH": "Redis wants a password: put it in the address, redis://user:password@host.",
    "WRONGPASS": "Redis does not know this user, or the password is wrong: correct the address.",
    "NOPERM": "The Redis user may not do this: it needs +@all on ~* and &*, or at least FCALL, FUNCTION, and the data commands",
}
"""By the code of the error: what is wrong, for people."""

ELSEWHERE = {"READONLY", "MASTERDOWN", "CLUSTERDOWN", "MOVED", "TRYAGAIN", "ASK"}
"""After these the servers are looked up again."""


class RefusedByFunction(StoreError):
    """A function of ours said no: what it said, without the mark before it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Faulty(Unavailable):
    """Redis refused the command itself: a bug, or a foreign value at our key. It will not pass by itself."""


def text_of(error: RedisError) -> str:
    """The error as Redis wrote it, with the code that the redis package takes off."""
    said = str(error.args[0]) if error.args else ""
    return f"{error.status_code} {said}" if error.status_code else said


def code_of(text: str) -> str:
    """The first word."""
    return text.split(" ", 1)[0]


def meaning(text: str) -> StoreError:
    """What to raise for an error reply of Redis."""
    code = code_of(text)
    if code == OURS:
        return RefusedByFunction(text[len(OURS) + 1 :])
    if code == "OOM":
        return StorageFull("Redis is full: give it more maxmemory, or wait until old requests have left it.")
    if code in SENTENCES:
        return Unavailable(SENTENCES[code])
    return Faulty(f"Redis refused a command: {text[:TEXT_CHARS_MAX]}")
