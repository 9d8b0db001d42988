"""The browser client as others install it: packed, unpacked beside what it needs, type-checked and run, entry by entry."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.documents import ROOT, blocks
from tests.support.serving import Server
from tests.support.web_package import NAME, WEB, Failed, build, new_project, run

pytestmark = pytest.mark.slow

PORT = "http://127.0.0.1:8080"
PAGE = ROOT / "docs" / "front-ends.md"
README = WEB / "src" / "sdk" / "README.md"
REACT = ("react", "react-dom", "@types/react", "@types/react-dom", "csstype")
AI = ("ai", "@ai-sdk/react")

# What each entry needs beside it, and a program that has something to say; in JavaScript, which every Node runs.
ASK = f"""
import {{ Client }} from "holdfast-client";
const client = new Client({{ url: "{PORT}" }});
client.start();
const answer = client.submit({{ chat_id: "c-1", text: "Say it.", options: {{ words: 7, pace: 0 }} }});
const state = await answer.ended;
const text = state.parts.map((part) => (part.kind === "text" ? part.text : "")).join("");
console.log(state.status, state.verified, text.trim().split(/\\s+/).length);
client.close();
"""
RENDER = f"""
import {{ Client }} from "holdfast-client";
import {{ HoldfastProvider, useAnswer, useConnection }} from "holdfast-client/react";
import {{ createElement }} from "react";
import {{ renderToString }} from "react-dom/server";
const client = new Client({{ url: "{PORT}" }});
function Shown() {{
  return `${{useConnection().phase}} ${{useAnswer("r-1").state.status}}`;
}}
console.log(renderToString(createElement(HoldfastProvider, {{ client, children: createElement(Shown) }})));
"""
STREAM = f"""
import {{ readUIMessageStream }} from "ai";
import {{ Client }} from "holdfast-client";
import {{ HoldfastTransport, loadMessages, textOf }} from "holdfast-client/ai-sdk";
const client = new Client({{ url: "{PORT}" }});
client.start();
const transport = new HoldfastTransport({{ client, options: () => ({{ words: 7, pace: 0 }}) }});
const stream = await transport.sendMessages({{
  chatId: "c-2",
  trigger: "submit-message",
  messageId: undefined,
  abortSignal: undefined,
  messages: [{{ id: "m-1", role: "user", parts: [{{ type: "text", text: "Say it." }}] }}],
}});
let text = "";
for await (const message of readUIMessageStream({{ stream }})) text = textOf(message);
const kept = (await loadMessages(client, "c-2")).map(textOf);
console.log(text.trim().split(/\\s+/).length, kept.length, kept[1] === text);
client.close();
"""
ENTRIES = [
    pytest.param((), ASK, "completed true 7", id="."),
    pytest.param(REACT, RENDER, "idle new", id="./react"),
    pytest.param(AI, STREAM, "7 2 true", id="./ai-sdk"),
]
WRONG = [
    pytest.param((), "Client", "", "new Client({}).connection.get().phase", id="."),
    pytest.param(REACT, "useConnection", "/react", "useConnection().phase", id="./react"),
    pytest.param(AI, "textOf", "/ai-sdk", 'textOf({ id: "m", role: "user", parts: [] })', id="./ai-sdk"),
]

Project = Callable[..., Path]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, as it was in the tarball."""
    return build(tmp_path_factory.mktemp("package"))


@pytest.fixture
def project(package: Path, tmp_path: Path) -> Project:
    """Makes an empty folder with the package and what is named beside it."""
    return lambda *beside: new_project(tmp_path / "project", package, *beside)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server with the demo agent, which does not take its time."""
    toml = '[agents.demo]\nkind = "demo"\npace = 2000'
    async with Server(tmp_path / "server", toml=toml) as running:
        yield running


def check(folder: Path, resolution: str = "bundler", *, libraries: bool = False) -> None:
    """Type-checks every program of the folder, with the declarations of what it imports if `libraries`. Raises: Failed."""
    options: dict[str, Any] = {
        "target": "ES2023", "lib": ["ES2024", "DOM", "DOM.Iterable", "DOM.AsyncIterable"], "jsx": "react-jsx",
        "moduleResolution": resolution, "module": "nodenext" if resolution == "nodenext" else "esnext",
        "moduleDetection": "force", "strict": True, "exactOptionalPropertyTypes": True, "allowJs": True,
        "checkJs": True, "noEmit": True, "types": [], "skipLibCheck": not libraries,
    }  # fmt: skip
    config = {"compilerOptions": options, "include": ["*.ts", "*.tsx", "*.mjs"]}
    (folder / "tsconfig.json").write_text(json.dumps(config))
    (folder / "package.json").write_text('{"type": "module"}')
    run(folder, "tsc", "-p", ".")


def test_the_package_holds_what_it_names(package: Path) -> None:
    """Each entry has its code and its types, peers are optional, and nothing of the tests or of other folders came along."""
    manifest = json.loads((package / "package.json").read_text("utf-8"))
    assert list(manifest["exports"]) == [".", "./react", "./ai-sdk"]
    for files in manifest["exports"].values():
        assert all((package / file).is_file() for file in files.values()), files
    assert manifest["version"] == json.loads((WEB / "package.json").read_text("utf-8"))["version"]
    assert manifest["name"] == NAME
    assert list(manifest["dependencies"]) == ["idb"]
    assert {name for name, meta in manifest["peerDependenciesMeta"].items() if meta["optional"]} == set(
        manifest["peerDependencies"]
    )
    there = [path.relative_to(package) for path in package.rglob("*") if path.is_file()]
    assert {path.parts[0] for path in there} == {
        "package.json", "README.md", "LICENSE", "sdk", "react", "ai-sdk", "shared",
    }  # fmt: skip
    assert [path for path in there if "test" in path.name or path.name.startswith("rig")] == []
    assert (package / "react" / "index.js").read_text("utf-8").startswith('"use client";')


@pytest.mark.parametrize(("beside", "program", "said"), ENTRIES)
async def test_each_entry_is_typed_and_runs(
    project: Project, server: Server, beside: tuple[str, ...], program: str, said: str
) -> None:
    """In a folder with nothing but the package and its peers a program of each entry passes the types and does its work."""
    folder = project(*beside)
    (folder / "program.mjs").write_text(program.replace(PORT, f"http://127.0.0.1:{server.port}"))
    for resolution in ("bundler", "nodenext"):
        check(folder, resolution, libraries=not beside)  # what others declare is not ours to check
    assert run(folder, "node", "program.mjs").strip() == said


@pytest.mark.parametrize(("beside", "name", "entry", "value"), WRONG)
def test_the_types_say_no(
    project: Project, beside: tuple[str, ...], name: str, entry: str, value: str
) -> None:
    """The declarations are found and mean something: what is no number is not taken for one."""
    folder = project(*beside)
    (folder / "wrong.ts").write_text(
        f'import {{ {name} }} from "{NAME}{entry}";\nexport const n: number = {value};\n'
    )
    with pytest.raises(Failed, match=r"wrong\.ts\(2,14\): error TS2322"):
        check(folder)


def test_the_examples_of_the_page_are_typed(project: Project) -> None:
    """Whatever is copied from docs/front-ends.md passes the strictest types."""
    folder = project(*REACT, *AI)
    copied = [block for block in blocks(PAGE) if block.language in ("ts", "tsx")]
    assert {block.language for block in copied} == {"ts", "tsx"}
    for block in copied:
        (folder / f"line{block.line}.{block.language}").write_text(block.text)
    check(folder)


async def test_the_example_of_the_readme_runs(project: Project, server: Server) -> None:
    """The first program that people see works as it is printed."""
    example = re.findall(r"^```js\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)[0]
    assert PORT in example
    folder = project()
    (folder / "program.mjs").write_text(example.replace(PORT, f"http://127.0.0.1:{server.port}"))
    assert len(run(folder, "node", "program.mjs").split()) > 10
