"""The command line as people run it: a process of its own, against a server whose every move is scripted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import sys
from typing import Self

import pytest

from holdfast_protocol import commands as cmd
from holdfast_protocol import events as ev
from tests.support.command_line import ended, environment, holdfast, started
from tests.support.fake_peer import TOKEN
from tests.support.fake_server import FakeServer, Writer
from tests.support.serving import ROOT

MARKDOWN = "# Head\n\nSome **bold** words.\n\n- one\n- two\n\n```python\nx = 1\n```\n"


async def markdown(writer: Writer) -> None:
    writer.start()
    await writer.say("hm", kind="reasoning")
    await writer.tool("clock", "{}", "noon")
    await writer.say(MARKDOWN, size=3)
    writer.end()


async def endless(writer: Writer) -> None:
    writer.start()
    await writer.say("It begins, ")
    await asyncio.get_running_loop().create_future()


async def test_ask_streams_to_standard_output():
    """In a pipe the answer comes as it was written, nothing else is on standard output, and the code is 0."""
    async with FakeServer() as server:
        server.agents["demo"] = markdown
        ended = await holdfast(
            "--url", server.url, "ask", "hello", "--chat", "c1", "--option", "n=1", "--option", "s=x"
        )
        assert (ended.code, ended.out, ended.err) == (0, MARKDOWN, "")
        (journal,) = server.core.journals.values()
        assert journal.submission.options == {"n": 1, "s": "x"}
        assert (journal.submission.text, journal.submission.chat_id) == ("hello", "c1")


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_ask_as_lines_of_json(codec):
    """The submit's reply, then one event per line, to the outcome."""
    async with FakeServer() as server:
        server.agents["demo"] = markdown
        ended = await holdfast(
            "ask", "-", "--json", given="from a pipe", HOLDFAST_URL=server.url, HOLDFAST_CODEC=codec
        )
        lines = [json.loads(line) for line in ended.out.splitlines()]
        assert [lines[0]["type"], lines[1]["type"], lines[-1]["type"]] == [
            "submitted",
            "accepted",
            "completed",
        ]
        (journal,) = server.core.journals.values()
        assert journal.submission.messages[0].text == "from a pipe"
        assert sum(line.get("span", 1) for line in lines[1:]) == journal.tail


async def test_detach_then_attach_tail_replay_cancel():
    """The id that `ask --detach` prints opens the answer again, in every way there is."""
    async with FakeServer() as server:
        server.agents["demo"] = markdown
        url = ("--url", server.url)
        request_id = (await holdfast(*url, "ask", "--detach", "hello")).out.strip()
        assert request_id in server.core.journals
        assert (await holdfast(*url, "attach", request_id)).out == MARKDOWN
        tail = await holdfast(*url, "tail", request_id)
        assert (tail.code, "part_started" in tail.out) == (0, True)
        as_json = await holdfast(*url, "tail", request_id, "--json")
        assert json.loads(as_json.out.splitlines()[-1])["type"] == "completed"
        assert (await holdfast(*url, "replay", request_id, "--speed", "0")).out == MARKDOWN
        late = await holdfast(*url, "cancel", request_id)
        assert (late.code, late.out) == (1, "it had ended already: completed\n")
        unknown = await holdfast(*url, "attach", "nope")
        assert unknown.code == 1
        assert unknown.err == "holdfast: nope: No such request of yours; it may have been deleted.\n"


async def test_what_went_wrong_is_said_in_one_line():
    """A failed request is 1, no server 3, no credentials 4, wrong usage 2; never a stack trace."""

    async def fails(writer: Writer) -> None:
        writer.start()
        await writer.say("so far")
        writer.end(ev.Failed, "upstream", message="The model is away.")

    async with FakeServer() as server:
        server.agents["demo"] = fails
        ended = await holdfast("--url", server.url, "ask", "hello")
        assert (ended.code, ended.out, ended.err) == (
            1,
            "so far\n",
            "holdfast: failed [upstream]: The model is away.\n",
        )
        refused = await holdfast("--url", server.url, "ask", "hello", "--agent", "nobody")
        nobody = "holdfast: No such agent; `holdfast agents` lists them. [unknown_agent]\n"
        assert (refused.code, refused.err) == (1, nobody)
        nothing = await holdfast("--url", server.url, "search", " ")
        assert (nothing.code, nothing.err) == (2, "holdfast: Give something to search for.\n")
        assert (await holdfast("--url", server.url, "ask", "-", given=" \n")).code == 2
    async with FakeServer(token=True) as server:
        locked = await holdfast("--url", server.url, "ls")
        wanted = "holdfast: This server wants a token: set HOLDFAST_TOKEN or --token.\n"
        assert (locked.code, locked.err) == (4, wanted)
        assert (await holdfast("--url", server.url, "ls", HOLDFAST_TOKEN=TOKEN)).code == 0
    away = await holdfast("--url", "http://127.0.0.1:9", "ask", "hello")
    assert (away.code, away.out) == (3, "")
    assert away.err == "holdfast: No connection to ws://127.0.0.1:9/ws: nothing listens there.\n"
    assert (await holdfast("--url", "ftp://x", "ls")).code == 2
    assert (await holdfast("nonsense")).code == 2
    urgent = await holdfast("ask", "hello", "--priority", "urgent")
    said = "Error: Invalid value for '--priority': 'urgent' is not one of 'low', 'normal', 'high'."
    assert (urgent.code, urgent.err.splitlines()[-1]) == (2, said)


async def test_interrupt_lets_go_and_says_how_to_come_back():
    """Ctrl-C ends the command with 130; the answer goes on, and the line on standard error names it."""
    async with FakeServer() as server:
        server.agents["demo"] = endless
        process = await started("--url", server.url, "ask", "hello")
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert await process.stdout.readexactly(11) == b"It begins, "
        process.send_signal(signal.SIGINT)
        left = await ended(process)
        (request_id,) = server.core.journals
        assert (left.code, left.err) == (
            130, f"holdfast: detached; the answer goes on. Come back with: holdfast attach {request_id}\n",
        )  # fmt: skip
        assert not server.core.journals[request_id].fold.sealed


async def test_a_reader_that_has_enough_is_no_error():
    """`holdfast ask … | head -1` ends quietly."""
    async with FakeServer() as server:
        server.agents["demo"] = endless
        process = await started("--url", server.url, "tail")
        async with asyncio.timeout(60):
            assert process.stdout is not None
            server.core.chat("c0", "zero")
            await process.stdout.readline()
            process.stdout._transport.close()  # type: ignore[attr-defined]
            assert process.stderr is not None
            for number in range(1, 50):
                server.core.chat(f"c{number}", "more")
                server.grown()
                await asyncio.sleep(0.01)
            err = await process.stderr.read()
            assert (await process.wait(), err) == (0, b"")


async def test_lists_are_tab_separated_in_a_pipe():
    """Whole ids, one row per line, so that `cut` and `grep` work; and JSON where it is asked for."""
    async with FakeServer() as server:
        url = ("--url", server.url)
        await holdfast(*url, "ask", "the needle", "--chat", "c1")
        chats = await holdfast(*url, "ls")
        assert chats.out.split("\t")[:2] == ["c1", "the needle"]
        rows = [json.loads(line) for line in (await holdfast(*url, "ls", "--json")).out.splitlines()]
        assert [(row["type"], row["chat_id"]) for row in rows] == [("chat", "c1")]
        assert (await holdfast(*url, "agents")).out.startswith("demo (default)\t")
        found = await holdfast(*url, "search", "needle")
        assert found.out == "c1\tthe needle\tquestion\tthe «needle»\n"


async def test_approve_and_deny():
    """What a request waits for is decided from another terminal."""

    async def asks(writer: Writer) -> None:
        writer.start()
        yes = await writer.ask({"tool": "rm"})
        await writer.say(f"decided: {yes}")
        writer.end()

    async with FakeServer() as server:
        server.agents["demo"] = asks
        for verb, decision in (("approve", True), ("deny", False)):
            request_id = (await holdfast("--url", server.url, "ask", "--detach", "?")).out.strip()
            assert (await holdfast("--url", server.url, verb, request_id)).code == 0
            assert (await holdfast("--url", server.url, "attach", request_id)).out == f"decided: {decision}\n"
            again = await holdfast("--url", server.url, verb, request_id)
            assert (again.code, again.err) == (1, "holdfast: it does not wait for a decision\n")


async def test_a_conversation_in_a_pipe():
    """Each line is answered before the next is read; commands work; the answers are as they were written."""
    async with FakeServer() as server:
        ended = await holdfast("--url", server.url, "chat", given="one\ntwo\n/chats\n/agents\n")
        assert ended.code == 0
        assert (
            ended.out.index("You said: one") < ended.out.index("You said: two") < ended.out.index("▶  1  one")
        )
        chats = {j.submission.chat_id for j in server.core.journals.values()}
        assert (len(server.core.journals), len(chats)) == (2, 1)


async def test_what_a_conversation_does_not_know_is_said():
    """A chat that is not there is named before it is begun, a command that is not there before the help."""
    async with FakeServer() as server:
        given = "/bogus\n/search\n/agent nobody\nhello\n"
        ended = await holdfast("--url", server.url, "chat", "nosuch", given=given)
        lines = ended.out.splitlines()
        assert lines[0] == "There is no chat nosuch; a new one begins with your first message."
        assert lines[1] == "There is no command /bogus."
        assert "/search needs a word after it." in lines
        assert lines[-1] == "No such agent; /agents lists them. [unknown_agent]"


class Terminal:
    """A program on a pseudo terminal; `seen` is everything it wrote, without colours and cursor movements."""

    def __init__(self, *arguments: str, **env: str) -> None:
        self.arguments = arguments
        self.env = env
        self.raw = b""
        self._more = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.end, theirs = pty.openpty()
        os.set_blocking(self.end, False)
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "main.py", *self.arguments, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs,
            env=environment(TERM="xterm-256color", COLUMNS="80", LINES="24", **self.env), start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        asyncio.get_running_loop().add_reader(self.end, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self.end)
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        os.close(self.end)

    def _read(self) -> None:
        try:
            data = os.read(self.end, 65536)
        except OSError:  # the other end is gone
            asyncio.get_running_loop().remove_reader(self.end)
            data = b""
        if b"\x1b[6n" in data:
            self.type("\x1b[1;1R")  # it asks where the cursor is
        self.raw += data
        self._more.set()

    def type(self, text: str) -> None:
        os.write(self.end, text.encode())

    @property
    def seen(self) -> str:
        return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[()].|[=>])", "", self.raw.decode(errors="replace"))

    async def until(self, text: str) -> None:
        """Wait until it has written this."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(15):
                while text not in self.seen:
                    self._more.clear()
                    await self._more.wait()
        assert text in self.seen


@pytest.mark.slow
async def test_ask_on_a_terminal_draws_markdown():
    """Blocks are rendered, what went on is told in a line each; with NO_COLOR there are no colours."""
    async with FakeServer() as server:
        server.agents["demo"] = markdown
        async with Terminal("--url", server.url, "ask", "hello", NO_COLOR="1") as terminal:
            await terminal.until("x = 1")
            assert await terminal.process.wait() == 0
            assert "Some bold words." in terminal.seen
            assert " • one" in terminal.seen
            assert "thought about it" in terminal.seen
            assert "clock" in terminal.seen
            assert re.search(rb"\x1b\[[0-9;]*3[0-7]m", terminal.raw) is None


@pytest.mark.slow
async def test_how_to_decide_is_said_on_a_terminal():
    """While nothing comes because the answer waits for a person, the terminal says how to decide."""

    async def asks(writer: Writer) -> None:
        writer.start()
        await writer.ask({"title": "May it?", "tool": "rm"})
        writer.end()

    async with FakeServer() as server:
        server.agents["demo"] = asks
        async with Terminal("--url", server.url, "ask", "hello") as terminal:
            await terminal.until("? approval: May it?")
            await terminal.until("give it with: holdfast approve")


@pytest.mark.slow
async def test_a_conversation_on_a_terminal():
    """Answers are drawn above the prompt; Ctrl-C lets go of the one that is shown, the next Ctrl-C leaves."""

    async def by_question(writer: Writer) -> None:
        await (endless if "endless" in writer.question else markdown)(writer)

    async with FakeServer() as server:
        server.agents["demo"] = by_question
        async with Terminal("--url", server.url, "chat") as terminal:
            await terminal.until("Enter sends")
            terminal.type("hello\r")
            await terminal.until("x = 1")
            assert "Some bold words." in terminal.seen
            terminal.type("endless please\r")
            await terminal.until("It begins,")
            terminal.type("\x03")
            await terminal.until("Detached; the answer goes on.")
            terminal.type("\x03")
            async with asyncio.timeout(10):
                assert await terminal.process.wait() == 0
        running = [j for j in server.core.journals.values() if not j.fold.sealed]
        assert [j.submission.text for j in running] == ["endless please"]
        assert not any(isinstance(command, cmd.Cancel) for command in server.core.commands)


@pytest.mark.slow
async def test_switching_while_an_answer_comes():
    """The answer goes on in its own chat and is announced in the other; nothing of it lands there."""
    gate = asyncio.Event()

    async def gated(writer: Writer) -> None:
        writer.start()
        await writer.say("first words ")
        if "slow" in writer.question:
            await gate.wait()
        await writer.say(f"last words of {writer.question}")
        writer.end()

    async with FakeServer() as server:
        server.agents["demo"] = gated
        async with Terminal("--url", server.url, "chat") as terminal:
            await terminal.until("Enter sends")
            terminal.type("slow one\r")
            await terminal.until("first words")
            terminal.type("/new\r")
            await terminal.until("A new chat")
            terminal.type("quick\r")
            await terminal.until("last words of quick")
            gate.set()
            await terminal.until("✓ “slow one” is answered")
            assert "last words of slow one" not in terminal.seen
            terminal.type("/chats\r")
            await terminal.until("2  slow one")
            terminal.type("/switch 2\r")
            await terminal.until("last words of slow one")
            terminal.type("\x04")
            async with asyncio.timeout(10):
                assert await terminal.process.wait() == 0
