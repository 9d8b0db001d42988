"""The commands and their options; what they do is in the modules beside this one, imported when a command runs."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from holdfast_client.addresses import DEFAULT_URL

from .running import EXIT_CODES, EXIT_USAGE, Commands, Settings, run, stop, typed

app = typer.Typer(
    name="holdfast",
    cls=Commands,
    help=f"Chats whose answers hold fast: detach, come back, miss nothing.\n\n{EXIT_CODES}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config = typer.Typer(help="The server's configuration.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(config, name="config")


class Codec(StrEnum):
    """How messages are written on the wire."""

    json = "json"
    msgpack = "msgpack"


class Priority(StrEnum):
    """Which of one's own requests go first."""

    low = "low"
    normal = "normal"
    high = "high"


class Role(StrEnum):
    """What a node of a cluster does."""

    gateway = "gateway"
    worker = "worker"


JsonLines = Annotated[bool, typer.Option("--json", help="One line of JSON per item.")]
RequestId = Annotated[
    str, typer.Argument(metavar="ID", help="A request's id, as `ask --detach` and `ls` tell it.")
]
ConfigPath = Annotated[str | None, typer.Option("--config", metavar="FILE", help="The configuration file.")]


@app.callback()
def options(
    context: typer.Context,
    url: Annotated[
        str,
        typer.Option(envvar="HOLDFAST_URL", help="The server: http(s)://host, ws(s)://host/ws or host:port."),
    ] = DEFAULT_URL,
    token: Annotated[
        str | None, typer.Option(envvar="HOLDFAST_TOKEN", help="A token; better in the environment.")
    ] = None,
    codec: Annotated[
        Codec, typer.Option(envvar="HOLDFAST_CODEC", help="How messages are written.")
    ] = Codec.json,
) -> None:
    """Remember what every command needs."""
    context.obj = Settings(url=url, token=token, codec=codec.value)


@app.command()
def serve(  # noqa: PLR0917  (typer passes each by its name)
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
    data: Annotated[str | None, typer.Option(metavar="DIR", help="Where the data is kept.")] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The store that several nodes share: redis://… (needs --history)."),
    ] = None,
    history: Annotated[
        str | None, typer.Option(metavar="URL", help="The database of the history: postgresql://…")
    ] = None,
    role: Annotated[
        list[Role] | None,
        typer.Option(help="What this node does; both where none is given; may be repeated."),
    ] = None,
    config_path: ConfigPath = None,
    agent_file: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="A Python file with agents of your own; may be repeated."),
    ] = None,
    agent: Annotated[str | None, typer.Option(help="The agent for requests that name none.")] = None,
) -> None:
    """Serve until stopped (needs the server part)."""
    from . import serving

    given: dict[str, Any] = {
        "server.host": host,
        "server.port": port,
        "store.folder": data,
        "store.url": store,
        "store.history": history,
        "cluster.roles": [each.value for each in role] if role else None,
        "agent_files": agent_file or None,
        "default_agent": agent,
    }
    raise typer.Exit(
        serving.serve(config_path, {name: value for name, value in given.items() if value is not None})
    )


@app.command()
def chat(
    context: typer.Context,
    chat_id: Annotated[
        str | None, typer.Argument(metavar="CHAT", help="A chat to go on with; without one, a new chat.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Who answers.")] = None,
) -> None:
    """Talk: several chats at once, each answer goes on while you are elsewhere."""
    from .chat import chat as work

    run(work(context.obj, chat_id, agent))


@app.command()
def ask(  # noqa: PLR0917  (typer passes each by its name)
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to ask; - reads standard input.")],
    chat: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="The chat it belongs to, or `new`; without one it stays out of the history."
        ),
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Who answers.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="An option for the agent; V may be JSON; may be repeated."),
    ] = None,
    priority: Annotated[
        Priority,
        typer.Option(
            help="Its order among your own requests; `low` lets everybody's others go first, for a minute."
        ),
    ] = Priority.normal,
    json: JsonLines = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the request's id at once and leave.")
    ] = False,
    no_stream: Annotated[bool, typer.Option("--no-stream", help="Show the answer when it is whole.")] = False,
) -> None:
    """Ask one thing; the answer goes to standard output."""
    from .asking import ask as work

    question = typed(sys.stdin.read() if text == "-" else text)
    if not question.strip():
        stop("there is nothing to ask; give a text, or - and something on standard input", EXIT_USAGE)
    run(
        work(
            context.obj, question, chat=chat, agent=agent, options=_options(option or []),
            priority=priority.value, json=json, detach=detach, stream=not no_stream,
        )
    )  # fmt: skip


@app.command()
def ls(
    context: typer.Context,
    everybody: Annotated[
        bool, typer.Option("--all", help="The latest requests of all users (for operators).")
    ] = False,
    json: JsonLines = False,
) -> None:
    """List the chats, and the requests that run."""
    from .listing import everyones
    from .listing import ls as work

    run((everyones if everybody else work)(context.obj, json=json))


@app.command()
def inspect(
    context: typer.Context,
    request_id: RequestId,
    owner: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose it is, as `ls --all` tells it (for operators)."),
    ] = None,
    json: JsonLines = False,
) -> None:
    """Show what is known of a request: its times, attempts, tokens and readers."""
    from .inspecting import inspect as work

    run(work(context.obj, request_id, owner=owner, json=json))


@app.command()
def attach(context: typer.Context, request_id: RequestId, json: JsonLines = False) -> None:
    """Show an answer from its beginning, and follow it to its end."""
    from .asking import attach as work

    run(work(context.obj, request_id, json=json))


@app.command()
def tail(
    context: typer.Context,
    request_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A request; without one, your feed.")
    ] = None,
    json: JsonLines = False,
) -> None:
    """Print events as lines until the end."""
    from .asking import tail as work

    run(work(context.obj, request_id, json=json))


@app.command()
def cancel(context: typer.Context, request_id: RequestId) -> None:
    """End a request, running or not."""
    from .asking import cancel as work

    run(work(context.obj, request_id))


@app.command()
def approve(context: typer.Context, request_id: RequestId) -> None:
    """Say yes to what a request waits for."""
    from .asking import decide as work

    run(work(context.obj, request_id, True))


@app.command()
def deny(context: typer.Context, request_id: RequestId) -> None:
    """Say no to what a request waits for."""
    from .asking import decide as work

    run(work(context.obj, request_id, False))


@app.command()
def replay(
    context: typer.Context,
    request_id: RequestId,
    speed: Annotated[
        float, typer.Option(min=0, help="How many times as fast as it came; 0 is at once.")
    ] = 1.0,
) -> None:
    """Show an answer again, at the pace at which it came."""
    from .asking import replay as work

    run(work(context.obj, request_id, speed=speed))


@app.command()
def agents(context: typer.Context, json: JsonLines = False) -> None:
    """List who can answer."""
    from .listing import agents as work

    run(work(context.obj, json=json))


@app.command()
def search(context: typer.Context, query: str, json: JsonLines = False) -> None:
    """Search titles and messages."""
    from .listing import search as work

    if not query.strip():
        stop("Give something to search for.", EXIT_USAGE)
    run(work(context.obj, typed(query), json=json))


@config.command("show")
def config_show(config_path: ConfigPath = None) -> None:
    """Print the configuration in force, secrets masked."""
    from . import serving

    raise typer.Exit(serving.config_show(config_path))


@config.command("check")
def config_check(config_path: ConfigPath = None) -> None:
    """Say whether the configuration is in order."""
    from . import serving

    raise typer.Exit(serving.config_check(config_path))


def _options(pairs: list[str]) -> dict[str, Any]:
    """K=V pairs; V is JSON where it is, else a string."""
    import msgspec

    out: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not key or not sign:
            stop(f"--option {pair}: write it as key=value", EXIT_USAGE)
        try:
            out[key] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            out[key] = value
    return out
