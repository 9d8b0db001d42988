"""The parts under the doors, for tests that want them up."""

from contextlib import AsyncExitStack

import pytest

from tests.support.histories import Histories
from tests.support.parts import parts_in


@pytest.fixture
def histories():
    """Where this test keeps its histories."""
    made = Histories()
    yield made
    made.close()


@pytest.fixture
async def make(tmp_path):
    """Make parts with their own bounds."""
    async with AsyncExitStack() as stack:

        async def start(**bounds):
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            folder.mkdir()
            return await stack.enter_async_context(parts_in(folder, **bounds))

        yield start


@pytest.fixture
async def bench(make):
    """Parts."""
    return await make()
