"""Configuration: one typed tree, filled from defaults, then `holdfast.toml`, then the environment, then the command line.

An unknown key or a wrong value is an error that names the key's path and what was expected. Environment names are the
path in capitals with `__` between levels: `HOLDFAST_SERVER__PORT=9000`. A value that is secret is a `Secret`: it prints
as `***` wherever it lands, in logs and in `config show`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import inspect

Positive = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=366 * 86_400)]
SomeSeconds = Annotated[float, msgspec.Meta(gt=0, le=366 * 86_400)]
Days = Annotated[float, msgspec.Meta(gt=0, le=36_500)]
Role = Literal["gateway", "worker"]
T = TypeVar("T")
_USERINFO: Final = re.compile(r"://\S*@")
_QUERY_SECRET: Final = re.compile(r"(?<=[?&])((?:pass|passwd|password|secret|token)=)[^&#\s]*", re.IGNORECASE)
PREFIX: Final = "HOLDFAST_"
KEY_VARIABLE: Final = "OPENAI_API_KEY"
"""Where a key for OpenAI's own servers is looked for; for another `base_url` only if the configuration says so."""

RETRY_S: Final = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""When a webhook that was not taken is tried again, after the last time: nine times in three days."""

CLIENT_NAMES: Final = frozenset({"HOLDFAST_URL", "HOLDFAST_TOKEN", "HOLDFAST_CODEC"})
"""Names with our prefix that are not settings of the server."""

PATH_VARIABLE: Final = "HOLDFAST_CONFIG"
"""Names the file where the command line names none."""

USUAL_FILE: Final = "holdfast.toml"
"""In the working folder; read if it is there and no other is named."""

Sources = dict[tuple[str, ...], str]
"""Who set what stands at a path: a variable's name, or nothing for the command line, which names itself. At (): the file."""


class ConfigError(Exception):
    """The configuration cannot be used; the text names the key and what was expected."""


class Secret:
    """A string that does not print itself."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self.value)


class Section(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of the sections."""


class ServerSection(Section, kw_only=True):
    """Where it listens and what it may be reached from."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    allowed_origins: list[str] = []
    public_url: str | None = None
    trusted_proxies: list[str] = []
    page: bool = True
    drain_s: Seconds = 25.0
    close_spread_s: Seconds = 1.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "text", "json"] = "auto"


class StoreSection(Section, kw_only=True):
    """Where journals and the history are kept."""

    url: str = ""
    folder: str = "data"
    durability: Literal["process", "power"] = "process"
    history: str | None = None
    rebuild_history: bool = False
    lock_wait_s: Seconds = 30.0
    compact_every_s: SomeSeconds = 30.0
    keep_days: Days = 30.0
    keep_bytes: Positive = 10 * 1024**3
    undo_s: Seconds = 30.0


class ClusterSection(Section, kw_only=True):
    """What this node does among those that share a store."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{0,64}$(?!\n)")] = ""
    roles: list[Role] = msgspec.field(default_factory=lambda: ["gateway", "worker"])
    lease_s: Annotated[float, msgspec.Meta(ge=0.5, le=300)] = 5.0
    volatile_ok: bool = False


class Token(Section, kw_only=True):
    """A static token and whose it is. With `operator` it also shows everybody's requests, and can stop them."""

    token: Secret
    user: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.@-]{1,64}$(?!\n)")]
    tenant: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.@-]{0,64}$(?!\n)")] = ""
    operator: bool = False


class IdentitySection(Section, kw_only=True):
    """Who may use it. `none` only on a loopback address."""

    kind: Literal["none", "tokens"] = "none"
    tokens: list[Token] = []


class LimitsSection(Section, kw_only=True):
    """What may be used at once."""

    slots: Positive = 200
    user_running_max: Positive = 50
    user_open_max: Positive = 100
    open_max: Positive = 5_000
    live_bytes_max: Positive = 512 * 1024**2
    answer_bytes_max: Positive = 2 * 1024**2
    connections_max: Positive = 10_000
    user_connections_max: Positive = 20
    anonymous_connections_max: Positive = 20
    connection_bytes_max: Positive = 64 * 1024
    no_progress_s: Annotated[float, msgspec.Meta(gt=0, le=3_600)] = 30.0
    commands_per_s: Positive = 50
    commands_burst: Positive = 200
    user_calls_max: Positive = 100


class DoorsSection(Section, kw_only=True):
    """Which doors are open beside the WebSocket, and how they behave."""

    http: bool = True
    openai: bool = True
    ai_sdk: bool = True
    dialects: bool = False
    dialects_async: bool = False
    docs: bool = True
    default_wait_s: Seconds = 0.0
    wait_max_s: SomeSeconds = 300.0
    keep_alive_s: Annotated[float, msgspec.Meta(gt=0, le=300)] = 15.0
    ai_sdk_abort: Literal["cancel", "detach"] = "cancel"


class WebhooksSection(Section, kw_only=True):
    """Calls to others when a request has its outcome. Without a secret there are none."""

    secrets: list[Secret] = []
    allow_private: bool = False
    allowed_hosts: list[str] = []
    retry_s: list[SomeSeconds] = msgspec.field(default_factory=lambda: list(RETRY_S))
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=120)] = 15.0


class ClocksSection(Section, kw_only=True):
    """An agent's deadlines in seconds; 0: none."""

    queue_s: Seconds = 0.0
    first_output_s: Seconds = 60.0
    stall_s: Seconds = 90.0
    total_s: Seconds = 600.0


class AgentSection(Section, kw_only=True):
    """An agent. `kind` openai_chat speaks to any OpenAI-compatible server; demo needs nothing."""

    kind: Literal["openai_chat", "demo"]
    description: str = ""
    model: str = ""
    base_url: str | None = None
    api_key: Secret | None = None
    api_key_env: str | None = None
    system: str = ""
    context_tokens: Positive = 16_000
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2
    running_max: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0
    recovery: Literal["restart", "continue", "interrupt"] | None = None
    pace: Annotated[float, msgspec.Meta(ge=0, le=10_000)] = 40.0
    clocks: ClocksSection = msgspec.field(default_factory=ClocksSection)


class Config(Section, kw_only=True):
    """All of it."""

    server: ServerSection = msgspec.field(default_factory=ServerSection)
    store: StoreSection = msgspec.field(default_factory=StoreSection)
    cluster: ClusterSection = msgspec.field(default_factory=ClusterSection)
    identity: IdentitySection = msgspec.field(default_factory=IdentitySection)
    limits: LimitsSection = msgspec.field(default_factory=LimitsSection)
    doors: DoorsSection = msgspec.field(default_factory=DoorsSection)
    webhooks: WebhooksSection = msgspec.field(default_factory=WebhooksSection)
    agents: dict[Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$(?!\n)")], AgentSection] = {}
    agent_files: list[str] = []
    default_agent: str | None = None


def load(
    path: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """The configuration in force. `overrides` are dotted paths (`server.port`) from the command line; without `path`
    the file that `HOLDFAST_CONFIG` names is read, or else `holdfast.toml` in the working folder if it is there. Without any
    agent, the demo agent is there, and the OpenAI one before it where `OPENAI_API_KEY` or `OPENAI_BASE_URL` is set. Raises:
    ConfigError."""
    environ = os.environ if environ is None else environ
    tree = _read(path) if path is not None else _read_named(environ.get(PATH_VARIABLE))
    sources: Sources = {(): str(path or environ.get(PATH_VARIABLE) or USUAL_FILE)}
    for name, text in sorted(environ.items()):
        if name.startswith(PREFIX) and name not in CLIENT_NAMES and name != PATH_VARIABLE:
            steps = name.removeprefix(PREFIX).lower().split("__")
            if len(steps) == 1 and steps[0] not in Config.__struct_fields__:
                continue
            _put(tree, steps, _value(text), name)
            sources[tuple(steps)] = name
    for dotted, value in (overrides or {}).items():
        if value is not None:
            _put(tree, dotted.split("."), value, dotted)
            sources[tuple(dotted.split("."))] = ""
    config = _convert(tree, sources)
    if not config.agents and not config.agent_files:
        config.agents = default_agents(environ)
    if config.default_agent is None and config.agents:
        config.default_agent = next(iter(config.agents))
    return config


def default_agents(environ: Mapping[str, str]) -> dict[str, AgentSection]:
    """What there is when nothing is configured."""
    agents = {}
    if environ.get("OPENAI_API_KEY") or environ.get("OPENAI_BASE_URL"):
        model = environ.get("OPENAI_MODEL", "gpt-4o-mini")
        agents["openai"] = AgentSection(
            kind="openai_chat",
            model=model,
            base_url=environ.get("OPENAI_BASE_URL") or None,
            api_key_env=KEY_VARIABLE,
        )
    agents["demo"] = AgentSection(
        kind="demo", description="Works offline and says so: for trying things out."
    )
    return agents


def show(config: Config) -> dict[str, Any]:
    """The configuration as plain data, secrets masked, those in addresses too."""
    plain: dict[str, Any] = msgspec.to_builtins(config, enc_hook=repr)
    for section in (plain["store"], *plain["agents"].values()):
        for name in ("url", "history", "base_url"):
            if section.get(name):
                section[name] = masked(section[name])
    return plain


def masked(address: str) -> str:
    """The address without who may use it: what stands before its last `@`, and passwords among its parameters."""
    return _QUERY_SECRET.sub(r"\1***", _USERINFO.sub("://***@", address))


def _read_named(path: str | None) -> dict[str, Any]:
    """The file that the environment names, or the usual one."""
    try:
        return _read(path or None)
    except ConfigError as error:
        raise ConfigError(f"{PATH_VARIABLE}: {error}" if path else str(error)) from None


def _read(path: str | Path | None) -> dict[str, Any]:
    file = Path(path) if path is not None else Path(USUAL_FILE)
    if path is None and not file.exists():
        return {}
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None


def _put(tree: dict[str, Any], steps: list[str], value: Any, name: str) -> None:
    for step in steps[:-1]:
        below = tree.setdefault(step, {})
        if not isinstance(below, dict):
            raise ConfigError(f"{name}: `{step}` is a value, not a section")
        tree = below
    tree[steps[-1]] = value


def _value(text: str) -> Any:
    """An environment text as TOML would read it, or as it stands."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _convert(tree: dict[str, Any], sources: Sources) -> Config:
    agents = tree.get("agents")
    if isinstance(agents, dict):
        for name, section in agents.items():
            _typed(section, AgentSection, f"agents.{name}", sources)
    return _typed(tree, Config, "", sources)


def _typed(tree: Any, kind: type[T], below: str, sources: Sources) -> T:
    """The tree as that type; `below` is the path it stands at. Raises: ConfigError."""
    try:
        return msgspec.convert(tree, kind, dec_hook=_secret)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        path = f"{below}{where.rstrip('`')}".lstrip(".")
        if what.startswith("Invalid enum value"):
            what = f"{what}, expected one of: {', '.join(_choices(kind, where))}"
        parts = (_source(path, what, sources), path, what)
        raise ConfigError(": ".join(part for part in parts if part)) from None


def _source(path: str, what: str, sources: Sources) -> str:
    """What set what is wrong at that path: a variable, or else the file; nothing where it was the command line, or nobody."""
    steps = tuple(re.split(r"[.\[]", path)) if path else ()
    unknown = re.search(r"unknown field `(.*)`", what)
    if unknown is not None:
        steps = (*steps, unknown[1])
    for length in range(len(steps), 0, -1):
        if steps[:length] in sources:
            return sources[steps[:length]]
    if "missing required" in what:
        return ""
    below = (name for set_at, name in sources.items() if steps and set_at[: len(steps)] == steps)
    return next(below, sources[()])


def _choices(kind: Any, where: str) -> list[str]:
    """The values that may stand at a path below a section's type."""
    node: Any = inspect.type_info(kind)
    for step in re.findall(r"\.([a-z_]+)|(\[)", where):
        if isinstance(node, inspect.StructType):
            node = next(field.type for field in node.fields if field.name == step[0])
        elif isinstance(node, inspect.ListType):
            node = node.item_type
        elif isinstance(node, inspect.DictType):
            node = node.value_type
    kinds = node.types if isinstance(node, inspect.UnionType) else (node,)
    return [str(value) for each in kinds if isinstance(each, inspect.LiteralType) for value in each.values]


def _secret(kind: type, value: Any) -> Any:
    if kind is Secret:
        if not isinstance(value, str):
            raise ValueError("Expected a string")
        return Secret(value)
    raise NotImplementedError(kind)
