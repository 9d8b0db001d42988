"""Recorded logs make the frames that were recorded with them, for as long as the version lives."""

from __future__ import annotations

import pytest

from holdfast_server.projections.versions import VERSIONS
from tests.support import golden
from tests.support.responses_sdk import Gathered, check_frame

CASES = list(golden.cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.folder}-{case.name}")
def test_recorded_logs_make_the_recorded_frames(case: golden.Case) -> None:
    """A reader's sequence number means the same event for ever: what a log made once, it makes now. These files are not
    written again; what makes other frames is another version."""
    assert case.made() == case.recorded()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.folder}-{case.name}")
def test_recorded_frames_are_what_the_sdk_takes(case: golden.Case) -> None:
    """What was recorded is of OpenAI's types, and its own accumulator takes it."""
    frames = case.recorded()
    assert frames is not None
    for frame in frames:
        check_frame(frame)
    completed = Gathered(frames).completed
    assert (completed is not None) == (frames[-1]["type"] == "response.completed")


def test_every_version_is_recorded() -> None:
    """The version that new requests are opened under has its folder of recorded logs."""
    folders = {case.folder for case in CASES}
    assert f"responses-v{VERSIONS['responses']}" in folders
    assert folders == set(golden.PROJECTIONS)


def test_recording_writes_over_nothing() -> None:
    """Frames that were recorded stay, whatever is asked of the program that records."""
    case = CASES[0]
    with pytest.raises(FileExistsError):
        case.record()
