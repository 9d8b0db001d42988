"""Identity: who a token stands for."""

from holdfast_server.identity import LOCAL, NoIdentity, TokenIdentity
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
