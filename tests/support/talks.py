"""What a test of trouble asks about one talk: its journal's nonce, its text, how often the model was asked."""

from __future__ import annotations

from holdfast_client.answer import Answer
from tests.support.script import expected_text
from tests.support.trouble import Scene, Talk


def nonce_of(answer: Answer) -> str:
    """The nonce of the journal that this answer was read from."""
    accepted = answer.fold.accepted
    assert accepted is not None
    return accepted.nonce


def text_meant(talk: Talk, attempts: int = 1) -> str:
    """What a scripted talk has to say, by the so-maniest call of the model."""
    assert talk.script is not None
    return expected_text(talk.script, attempts)


def asked_once(scene: Scene, request_id: str) -> bool:
    """Whether the model was asked once."""
    return len(scene.upstream.log.of(request_id)) == 1
