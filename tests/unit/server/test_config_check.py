"""What the types of a configuration do not say is said before the server starts."""

import pytest

from holdfast_server.config import ConfigError, load, show
from holdfast_server.config_check import check


def loaded(tmp_path, text):
    file = tmp_path / "holdfast.toml"
    file.write_text(text)
    return load(file, environ={})


WEBHOOK_SECRET = "whsec_" + "A" * 43 + "="
TOKENS = '[identity]\nkind = "tokens"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[server]\nhost = "0.0.0.0"', "identity.kind:"),
        (TOKENS, "identity.tokens:"),
        (TOKENS + 'tokens = [{token = "", user = "ada"}]', "identity.tokens[0]:"),
        (
            TOKENS + 'tokens = [{token = "a", user = "ada"}, {token = "a", user = "bob"}]',
            "identity.tokens[1]:",
        ),
        ('[server]\nallowed_origins = ["bla"]', "server.allowed_origins[0]:"),
        ('[store]\nhistory = "nonsense"', "store.history:"),
        ('[store]\nhistory = "mysql://u:pw@h/d"', "store.history:"),
        ('[store]\nurl = "redis://u:pw@h/0"', "store.history:"),
        ('[store]\nurl = "redis://u:pw@h/0"\nhistory = "sqlite+aiosqlite:///h.db"', "store.history:"),
        ('[store]\nurl = "http://u:pw@h/0"\nhistory = "postgresql://u:pw@h/d"', "store.url:"),
        ('[store]\nurl = "redis://u:pw@h/much"\nhistory = "postgresql://u:pw@h/d"', "store.url:"),
        ('[store]\nurl = "redis://u:pw@h/1"\nhistory = "postgresql://u:pw@h/d"', "store.url:"),
        (
            '[store]\nurl = "redis://h"\nhistory = "postgresql://h/d"\ndurability = "power"\n[cluster]\nvolatile_ok = true',
            "store.durability:",
        ),
        ('[cluster]\nroles = ["worker"]', "cluster.roles:"),
        ("[cluster]\nroles = []", "cluster.roles:"),
        ('[agents.x]\nkind = "openai_chat"\nbase_url = "http://127.0.0.1:1/v1"', "agents.x.model:"),
        ('[agents.x]\nkind = "openai_chat"\nmodel = "m"', "agents.x: no API key: set OPENAI_API_KEY"),
        ('[agents.x]\nkind = "openai_chat"\nmodel = "m"\nbase_url = "nonsense"', "agents.x.base_url:"),
        ('[agents.x]\nkind = "openai_chat"\nmodel = "m"\nbase_url = "ftp://h/"', "agents.x.base_url:"),
        ('agent_files = ["nowhere.py"]', "agent_files[0]:"),
        ('default_agent = "nobody"', "default_agent:"),
        ('[webhooks]\nsecrets = ["sesame"]', "webhooks.secrets[0]:"),
        ('[webhooks]\nsecrets = ["whsec_c2hvcnQ="]', "webhooks.secrets[0]:"),
        (f"[webhooks]\nsecrets = {[WEBHOOK_SECRET] * 9}", "webhooks.secrets:"),
        ('[webhooks]\nallowed_hosts = ["inside", "https://inside/"]', "webhooks.allowed_hosts[1]:"),
        ('[webhooks]\nallowed_hosts = ["10.0.0.0/8"]', "webhooks.allowed_hosts[0]:"),
    ],
)
def test_what_cannot_work_is_refused_with_its_path(tmp_path, text, says):
    """One sentence that begins with the key, and shows no secret."""
    with pytest.raises(ConfigError) as error:
        check(loaded(tmp_path, text), {})
    assert str(error.value).startswith(says)
    assert "pw" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[server]\nhost = "::1"\nallowed_origins = ["https://a.example", "http://b.example:8080", "null"]',
        '[server]\nhost = "0.0.0.0"\n' + TOKENS + 'tokens = [{token = "a", user = "ada"}]',
        '[agents.x]\nkind = "openai_chat"\nmodel = "m"\nbase_url = "http://127.0.0.1:1/v1"',
        '[agents.x]\nkind = "openai_chat"\nmodel = "m"\napi_key = "k"',
        '[store]\nhistory = "sqlite+aiosqlite:///h.db"',
        '[store]\nurl = "redis://u:pw@h:1/0"\nhistory = "postgresql://u:pw@h/d"\n[cluster]\nroles = ["worker"]',
        '[store]\nurl = "redis+sentinel://h:1,i:2/name/0"\nhistory = "postgres://u:pw@h/d"',
        '[store]\nurl = "rediss+sentinel://h:1,i:2/name/0"\nhistory = "postgres://u:pw@h/d"',
        '[store]\nurl = "rediss+cluster://h:1,i:2"\nhistory = "postgres://u:pw@h/d"\ndurability = "power"',
    ],
)
def test_what_can_work_passes(tmp_path, text):
    """The usual ways to set it up."""
    check(loaded(tmp_path, text), {})


@pytest.mark.parametrize(
    "text",
    [
        "[store]\nkeep_days = inf", "[store]\nkeep_days = 1e300", "[store]\nundo_s = inf",
        "[limits]\nno_progress_s = inf", "[limits]\nslots = 99999999999999999999", "[server]\ndrain_s = nan",
    ],
)  # fmt: skip
def test_numbers_that_break_later_are_refused_at_once(tmp_path, text):
    """Infinity and the absurd, with the key's path."""
    with pytest.raises(ConfigError, match=r"^(/\S+\.toml: )?(store|limits|server)\.\w+: "):
        loaded(tmp_path, text)


def test_a_wrong_choice_is_told_the_right_ones(tmp_path):
    """What was expected, not only what was wrong."""
    with pytest.raises(ConfigError, match=r"agents.x.kind: .*expected one of: demo, openai_chat"):
        loaded(tmp_path, '[agents.x]\nkind = "openai"')
    with pytest.raises(ConfigError, match=r"server.log_level: .*expected one of: .*debug"):
        loaded(tmp_path, '[server]\nlog_level = "loud"')


def test_addresses_are_shown_without_their_passwords(tmp_path):
    """`config show` can be pasted anywhere."""
    text = '[agents.x]\nkind = "openai_chat"\nmodel = "m"\nbase_url = "http://u:pw@h/v1"'
    shown = show(loaded(tmp_path, text))
    assert shown["agents"]["x"]["base_url"] == "http://***@h/v1"


def test_webhooks_are_set_up(tmp_path):
    """Secrets old and new, and hosts by name and number, are taken; no secret is shown."""
    hosts = '["inside", "10.0.0.1", "fd00::1", "[fd00::2]"]'
    config = loaded(tmp_path, f'[webhooks]\nsecrets = ["{WEBHOOK_SECRET}"]\nallowed_hosts = {hosts}')
    check(config, {})
    assert WEBHOOK_SECRET not in str(show(config))
