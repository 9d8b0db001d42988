"""How a simulated run can fail: each error says what its reader should look at."""


class Deadlock(AssertionError):
    """Nothing is ready, no timer is set, and the main coroutine is not done. The message says who waits where."""


class Livelock(AssertionError):
    """The run passed its limit of turns or of virtual time without an end."""


class NotSimulated(RuntimeError):
    """The code asked for a socket, a thread, a process or a signal: give it a fake, or move it out of the core."""


class LoopError(AssertionError):
    """asyncio reported a fault to the loop that came without an exception of its own."""


class RunErrors(ExceptionGroup[Exception]):
    """Tasks, futures or callbacks failed in a run that otherwise ended, and nobody looked."""
