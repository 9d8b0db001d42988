"""The configuration: layers, and errors that name the key."""

import pytest

from holdfast_server.config import Config, ConfigError, Secret, load, show


def test_layers_in_order(tmp_path):
    """The command line beats the environment, which beats the file, which beats the defaults."""
    file = tmp_path / "holdfast.toml"
    file.write_text("[server]\nport = 1001\nhost = '127.0.0.2'\ndrain_s = 3\n")
    environ = {"HOLDFAST_SERVER__PORT": "1002", "HOLDFAST_SERVER__HOST": "127.0.0.3", "UNRELATED": "x"}
    config = load(file, {"server.port": 1003, "server.log_level": None}, environ)
    assert (config.server.port, config.server.host, config.server.drain_s) == (1003, "127.0.0.3", 3)
    assert config.server.log_level == "info"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server]\nprot = 1", "server: Object contains unknown field `prot`"),
        ("[server]\nport = 'x'", "server.port: Expected `int`, got `str`"),
        ("[agents.gpt]\nkind = 'oracle'", "agents.gpt.kind: Invalid enum value 'oracle'"),
        ("[[identity.tokens]]\ntoken = 5\nuser = 'ada'", "identity.tokens[0].token: Expected a string"),
        ("colour = 1", "Object contains unknown field `colour`"),
        ("[server", "not valid TOML"),
    ],
)
def test_an_error_names_the_key_and_what_was_expected(tmp_path, text, says):
    """A wrong file says where it is wrong."""
    file = tmp_path / "holdfast.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(file, environ={"HOLDFAST_SERVER__HOST": "127.0.0.3"})
    assert str(error.value).startswith(f"{file}: {says}")


def test_a_missing_file_that_was_named_is_an_error(tmp_path):
    """A path on the command line must exist."""
    with pytest.raises(ConfigError, match=r"nowhere.toml: No such file"):
        load(tmp_path / "nowhere.toml", environ={})


def test_the_environment_names_the_file(tmp_path, monkeypatch):
    """`HOLDFAST_CONFIG` counts where no file is named otherwise, and then the usual one is not read; what it names must exist."""
    monkeypatch.chdir(tmp_path)
    for name, port in (("holdfast.toml", 1001), ("other.toml", 1002), ("given.toml", 1003)):
        (tmp_path / name).write_text(f"[server]\nport = {port}\n")
    environ = {"HOLDFAST_CONFIG": str(tmp_path / "other.toml")}
    assert load(None, environ=environ).server.port == 1002
    assert load(tmp_path / "given.toml", environ=environ).server.port == 1003
    assert load(None, environ={"HOLDFAST_CONFIG": ""}).server.port == 1001
    with pytest.raises(ConfigError, match=r"^HOLDFAST_CONFIG: nowhere\.toml: No such file"):
        load(None, environ={"HOLDFAST_CONFIG": "nowhere.toml"})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("HOLDFAST_SERVER__PROT", "1", "HOLDFAST_SERVER__PROT: server: Object contains unknown field `prot`"),
        ("HOLDFAST_SERVER", "{prot = 1}", "HOLDFAST_SERVER: server: Object contains unknown field `prot`"),
        ("HOLDFAST_SERVER__PORT", "x", "HOLDFAST_SERVER__PORT: server.port: Expected `int`, got `str`"),
        ("HOLDFAST_SERVER__PORT__X", "1", "HOLDFAST_SERVER__PORT__X: server.port: Expected `int`, got `object`"),
        ("HOLDFAST_COLOUR__RED", "1", "HOLDFAST_COLOUR__RED: Object contains unknown field `colour`"),
        ("HOLDFAST_AGENTS__GPT__KIND", "x", "HOLDFAST_AGENTS__GPT__KIND: agents.gpt.kind: Invalid enum value 'x'"),
        ("HOLDFAST_CLUSTER__ROLES", '["x"]', "HOLDFAST_CLUSTER__ROLES: cluster.roles[0]: Invalid enum value 'x'"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named(name, value, says):
    """A misspelt variable, or one with a wrong value, is not ignored, and does not look like a mistake in the file."""
    with pytest.raises(ConfigError) as error:
        load(None, environ={name: value, "HOLDFAST_SERVER__HOST": "127.0.0.1"})
    assert str(error.value).startswith(says)


def test_no_variable_is_blamed_for_what_others_set(tmp_path):
    """What the file or the command line set wrong is theirs, though variables set something beside or before it."""
    file = tmp_path / "holdfast.toml"
    file.write_text("[server]\nprot = 1\n")
    with pytest.raises(ConfigError, match=r"^\S+holdfast\.toml: server: Object"):
        load(file, environ={"HOLDFAST_SERVER__PORT": "1"})
    with pytest.raises(ConfigError, match=r"^server\.port: Expected"):
        load(None, {"server.port": -1}, environ={"HOLDFAST_SERVER__PORT": "1"})


def test_agents_of_a_fresh_install():
    """Without configuration there is the demo agent, and the OpenAI one first where its variables are set."""
    assert list(load(None, environ={}).agents) == ["demo"]
    config = load(None, environ={"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})
    assert list(config.agents) == ["openai", "demo"]
    assert config.default_agent == "openai"


def test_secrets_do_not_print():
    """No form of the configuration shows a token or a key."""
    environ = {"HOLDFAST_IDENTITY__TOKENS": '[{token = "canary-1", user = "ada"}]'}
    config = load(None, environ=environ)
    assert config.identity.tokens[0].token.value == "canary-1"
    assert "canary" not in repr(config) + str(show(config)) + f"{Secret('canary')}"


def test_show_is_plain_and_whole():
    """What `config show` prints has every section."""
    assert set(show(Config())) == set(Config.__struct_fields__)
