"""The browser client as others get it: built, packed and unpacked into a folder of a test's own, and what is made with it.

    package = build(tmp_path)                                   # what `npm run build:sdk` and `npm pack` make
    project = new_project(tmp_path / "mine", package, "react")  # a folder whose node_modules has it, and these beside it
    run(project, "tsc", "--noEmit", "-p", ".")

What stands beside it comes from web/node_modules; nothing is fetched. Where Node or those packages are missing, the test is skipped.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.serving import ROOT

WEB = ROOT / "web"
NAME = "holdfast-client"
DEPENDENCIES = ("idb",)
NO_NODE = 3  # what web/node.sh ends with where there is no recent Node
RUN_S = 120.0  # a build takes two seconds; a busy machine twenty


class Failed(AssertionError):
    """A tool of the web ended badly; the text is what it said."""


def run(folder: Path, *arguments: str | Path) -> str:
    """What a command says, run in `folder` with Node and the tools of web/ at hand.

    Raises: Failed.
    """
    # web/node.sh goes to web/ itself: what shall run elsewhere goes back from there.
    command = ["sh", WEB / "node.sh", "sh", "-c", 'cd "$0" && exec "$@"', folder, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{arguments} took more than {RUN_S} s") from error
    if done.returncode == NO_NODE and "web: needs Node" in done.stderr:
        leave_out("no recent Node with npm")
    if done.returncode:
        raise Failed(f"{arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def leave_out(reason: str) -> NoReturn:
    """Skips the test, as a missing program does; with CI=true nothing may be missing."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(f"{reason}, and CI leaves nothing out", pytrace=False)
    pytest.skip(reason)


def build(folder: Path) -> Path:
    """The package as it is after `npm install`: a folder with what was in the tarball.

    Raises: Failed.
    """
    if not (WEB / "node_modules" / "vite").is_dir():
        leave_out("the packages of web/ are not installed (make test installs them)")
    made = folder / "dist-sdk"
    run(WEB, "vite", "build", "--config", "vite.sdk.config.ts", "--outDir", made, "--logLevel", "error")
    run(WEB, "tsc", "-p", "tsconfig.sdk.json", "--outDir", made)
    run(folder, "npm", "pack", made, "--silent", "--pack-destination", folder)
    (tarball,) = folder.glob(f"{NAME}-*.tgz")
    with tarfile.open(tarball) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    return folder / "unpacked" / "package"


def new_project(folder: Path, package: Path, *beside: str) -> Path:
    """A folder for a program: its node_modules has the package, what it depends on, and what is named."""
    modules = folder / "node_modules"
    modules.mkdir(parents=True)
    # A copy, not a link: what it imports is looked for from where it lies.
    run(folder, "cp", "-r", package, modules / NAME)
    for name in (*DEPENDENCIES, *beside):
        (modules / name).parent.mkdir(exist_ok=True)
        (modules / name).symlink_to(WEB / "node_modules" / name)
    return folder
