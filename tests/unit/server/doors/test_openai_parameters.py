"""What becomes of each parameter: the tables know all that the SDK knows, and the docs say what the tables do."""

from pathlib import Path

import pytest
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params

from holdfast_server.doors.openai.parameters import COMPLETIONS, RESPONSES, given
from holdfast_server.doors.refusal import Refused

DOCS = Path(__file__).resolve().parents[4] / "docs" / "openai.md"


@pytest.mark.parametrize(
    ("rules", "known"),
    [
        (RESPONSES, response_create_params.ResponseCreateParamsStreaming),
        (COMPLETIONS, completion_create_params.CompletionCreateParamsStreaming),
    ],
)
def test_every_parameter_of_the_sdk_has_a_rule(rules, known):
    """No parameter that the SDK documents is unknown here, and no rule is about one that it does not know."""
    assert set(rules) - {"holdfast"} == set(known.__annotations__) | set(known.__mro__[0].__annotations__)


@pytest.mark.parametrize("rules", [RESPONSES, COMPLETIONS])
def test_the_docs_say_what_the_tables_do(rules):
    """Each rule is a row of docs/openai.md, word for word."""
    text = DOCS.read_text()
    for name, rule in rules.items():
        assert f"| `{name}` | {rule.verdict} | {rule.why} |" in text


@pytest.mark.parametrize("rules", [RESPONSES, COMPLETIONS])
def test_every_rule_holds(rules):
    """What is refused or has other values is refused by name; null never is; what is neutral goes no further."""
    for name, rule in rules.items():
        assert given({name: None}, rules) == {}
        if rule.verdict == "refused":
            with pytest.raises(Refused) as caught:
                given({name: {}}, rules)
            assert (caught.value.code, caught.value.param) == ("unsupported_parameter", name)
        elif rule.values is not None:
            for value in rule.values:
                assert given({name: value}, rules) == ({} if rule.verdict == "neutral" else {name: value})
            with pytest.raises(Refused) as caught:
                given({name: "other"}, rules)
            assert (caught.value.code, caught.value.param) == ("unsupported_value", name)
        else:
            assert given({name: "x"}, rules) == {name: "x"}


def test_true_is_not_one():
    """A neutral number is not met by a boolean, nor the other way round."""
    for name, value in (("n", True), ("logprobs", 0)):
        with pytest.raises(Refused):
            given({name: value}, COMPLETIONS)


def test_a_parameter_nobody_knows_is_named():
    """A misspelt parameter is told, however long its name."""
    with pytest.raises(Refused) as caught:
        given({"x" * 5000: 1}, RESPONSES)
    assert caught.value.code == "unknown_parameter"
    assert len(caught.value.message) < 300
