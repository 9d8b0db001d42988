"""Commands that need the server on this machine: serve, config. Where only the client is installed they say so."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .running import EXIT_OK, EXIT_USAGE, stop


def _server_module(name: str) -> Any:
    try:
        return import_module(f"holdfast_server.{name}")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith(("holdfast_protocol", "holdfast_server.")):
            raise  # it is installed, and broken: that must not look like a missing extra
        stop(
            f"the server is not installed here ({error.name} is missing); install it with: pip install 'holdfast[server]'",
            EXIT_USAGE,
        )


def serve(config_path: str | None, overrides: dict[str, Any]) -> int:
    """Serve until stopped."""
    code: int = _server_module("app").serve(config_path, overrides)
    return code


def config_show(config_path: str | None) -> int:
    """Print the configuration in force as JSON, secrets masked."""
    import json

    print(json.dumps(_server_module("config").show(_loaded(config_path)), indent=2, ensure_ascii=False))
    return EXIT_OK


def config_check(config_path: str | None) -> int:
    """Read the configuration and look for what cannot work; what is wrong is one line with the key's path."""
    loaded = _loaded(config_path)
    try:
        _server_module("config_check").check(loaded)
    except _server_module("config").ConfigError as error:
        stop(str(error), EXIT_USAGE)
    print("The configuration is in order.")
    return EXIT_OK


def _loaded(config_path: str | None) -> Any:
    config = _server_module("config")
    try:
        return config.load(config_path)
    except config.ConfigError as error:
        stop(str(error), EXIT_USAGE)
