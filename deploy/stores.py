"""The two servers that all nodes share: Redis and PostgreSQL, with their data in the folder of the whole."""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path

from tests.support.programs import surroundings

from .part import Part, Trouble, free_port, program, redis_answers, say


def redis_part(folder: Path) -> Part:
    """Redis, set up as Holdfast insists on."""
    data = folder / "redis"
    data.mkdir(exist_ok=True)
    port, server = free_port(), program("redis-server")
    command = [
        server, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(data), "--appendonly", "yes", "--save", "",
        "--maxmemory-policy", "noeviction", "--client-output-buffer-limit", "pubsub 64mb 16mb 60",
    ]  # fmt: skip
    return Part("redis", command, folder, port, env=surroundings(server), ready=redis_answers)


def postgres_part(folder: Path) -> tuple[Part, str]:
    """PostgreSQL and the address of its database. It refuses to be root: there it runs as `nobody`."""
    user, port = _unprivileged(), free_port()
    place = folder if user is None or _open_to_all(folder) else _elsewhere(folder)
    data, secret = place / "postgres", place / "postgres.password"
    server = str(Path(program("postgres")).resolve())
    env = {"LC_ALL": "C", **surroundings(server)}
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(16))
        if user is not None:
            for path in (data, secret):
                os.chown(path, user.pw_uid, user.pw_gid)
        data.chmod(0o700)
        made = subprocess.run(  # noqa: S603 - as above
            [
                *_as(user), str(Path(server).with_name("initdb")), "-D", str(data), "-U", "holdfast", "-A",
                "scram-sha-256", "--pwfile", str(secret), "--encoding=UTF8", "--locale=C", "--no-instructions",
            ],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=place, check=False,
            env={**os.environ, **env},
        )  # fmt: skip
        if made.returncode:
            shutil.rmtree(data, ignore_errors=True)
            raise Trouble(f"PostgreSQL cannot be set up in {data}:\n{made.stdout}{made.stderr}")
    command = [
        *_as(user), server, "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c",
        "unix_socket_directories=", "-c", "max_connections=200",
    ]  # fmt: skip

    def serves(_: int) -> bool:
        """It writes so into its file, some time after it listens."""
        return (data / "postmaster.pid").read_bytes().splitlines()[-1].strip() == b"ready"

    part = Part("postgres", command, folder, port, env=env, end=signal.SIGINT, ready=serves)
    return part, f"postgresql://holdfast:{secret.read_text()}@127.0.0.1:{port}/postgres"


def _open_to_all(folder: Path) -> bool:
    """Whether anybody may go into it."""
    return all(each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.parents))


def _elsewhere(folder: Path) -> Path:
    """Where PostgreSQL keeps its data if that folder is root's alone; the same at each start."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    place = Path(tempfile.gettempdir()) / f"holdfast-cluster-{name}"
    place.mkdir(mode=0o755, exist_ok=True)
    if place.stat().st_uid != os.geteuid() or place.is_symlink():
        raise Trouble(f"{place} is not yours; choose another folder with --data")
    say(f"({folder} is root's alone, and PostgreSQL is not root: its data is in {place})")
    return place


def _unprivileged() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _as(user: pwd.struct_passwd | None) -> list[str]:
    if user is None:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise Trouble("PostgreSQL refuses to run as root: run this as another user, or install util-linux")
    return [
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--pdeathsig",
        "INT",
        "--",
    ]
