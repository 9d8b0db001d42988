"""Identity: who a token stands for."""

import pytest

from holdfast_server.identity import LOCAL, NoIdentity, TokenIdentity, owner_name, owner_named
from holdfast_server.stores.base import Owner


def test_none_is_one_local_user():
    """Without identity everybody is the local user."""
    assert NoIdentity().owner_of(None) == LOCAL
    assert not NoIdentity().needs_token


def test_tokens_stand_for_their_owners_alone():
    """Only a known token is an owner, and none is kept in the clear."""
    identity = TokenIdentity([("alpha", Owner("", "ada")), ("beta", Owner("t", "bob"))])
    assert identity.owner_of("alpha") == Owner("", "ada")
    assert identity.owner_of("beta") == Owner("t", "bob")
    for wrong in (None, "", "Alpha", "alpha ", "\ud800"):
        assert identity.owner_of(wrong) is None
    assert "alpha" not in repr(vars(identity))


def test_the_token_makes_the_operator():
    """Not the name: one user's tokens may differ; and without identity everything is the local user's."""
    ada = Owner("", "ada")
    identity = TokenIdentity([("alpha", ada), ("beta", ada)], operators=["beta"])
    assert [identity.is_operator(token) for token in ("alpha", "beta", "gamma", "", None)] == [
        False,
        True,
        False,
        False,
        False,
    ]
    assert NoIdentity().is_operator(None)


@pytest.mark.parametrize("owner", [Owner("", "ada"), Owner("acme", "ada"), LOCAL])
def test_a_name_is_its_owners_alone(owner):
    """What is shown of an owner leads back to the same one."""
    assert owner_named(owner_name(owner)) == owner


@pytest.mark.parametrize("name", ["/ada", "a/b/c", "ada/", " "])
def test_a_name_that_is_nobodys_is_nobody(name):
    """Whatever is sent as a name is an owner of nothing at worst."""
    assert owner_named(name) not in (Owner("a", "b"), Owner("acme", "ada"))
