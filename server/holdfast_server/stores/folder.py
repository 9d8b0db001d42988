"""The data folder of one process: its lock, and the reserve that makes room on a full disk.

The lock is what lets the embedded store say "nobody else is alive": it is held by the kernel for as long as the process
lives, however it dies, and the file names its holder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Final

from .base import Unavailable

BALLAST_BYTES: Final = 4 * 1024 * 1024
"""Room for the write-ahead log of a few purges: enough to begin giving space back."""

BALLAST_RETRY_S: Final = 30.0
"""How often it is tried to put the reserve back."""

_POLL_S: Final = 0.1


class FolderLock:
    """Exclusive use of a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._file: int | None = None

    async def take(self, wait_s: float) -> None:
        """Lock the folder, waiting for a process that is about to end. Raises: Unavailable that names the holder."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise Unavailable(f"Cannot use the folder {self._path.parent}: {error.strerror}.") from error
        try:
            deadline = asyncio.get_running_loop().time() + wait_s
            while not _lock(file):
                if asyncio.get_running_loop().time() >= deadline:
                    pid = (
                        os.pread(file, 20, 1).decode(errors="replace").strip() if os.name == "posix" else "?"
                    )
                    raise Unavailable(
                        f"The folder {self._path.parent} is in use by process {pid or '?'}; stop it, or use another folder."
                    )
                await asyncio.sleep(_POLL_S)
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, f" {os.getpid()}\n".encode())
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


if sys.platform == "win32":  # pragma: no cover

    def _lock(file: int) -> bool:
        import msvcrt

        try:
            os.lseek(file, 0, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _lock(file: int) -> bool:
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class Ballast:
    """A file that only takes up room, and is given up when there is none. Used on the writer's thread."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"
        self._next_try = 0.0

    def release(self) -> bool:
        """Make room. Whether there was any to make."""
        try:
            self._path.unlink()
        except OSError:
            return False
        self._next_try = time.monotonic() + BALLAST_RETRY_S
        return True

    def restore(self) -> None:
        """Put it back if the disk has room for it several times over."""
        now = time.monotonic()
        if now < self._next_try:
            return
        self._next_try = now + BALLAST_RETRY_S
        with contextlib.suppress(OSError):
            if self._path.exists() and self._path.stat().st_size == BALLAST_BYTES:
                return
            if shutil.disk_usage(self._path.parent).free < 4 * BALLAST_BYTES:
                return
            # Not a sparse file: holes would keep no room.
            self._path.write_bytes(os.urandom(BALLAST_BYTES))
