"""Where Redis is, as the configuration says it: one server, a master that sentinels know, or a Redis Cluster.

    redis://user:secret@host:6379/0         rediss:// the same over TLS
    redis+sentinel://host:26379,host2/mymaster/0
    redis+cluster://host:6379,host2:6379

The number behind the host is that of a database, and always 0: deployments that shared a Redis would hear each other.
`rediss+sentinel` and `rediss+cluster` are the same over TLS. Behind `?`: for TLS `ca_file` (certificates to trust beside
the machine's own), `cert_file` and `key_file` (what this node shows to a server that asks, as Redis does by default); for
sentinels that ask for credentials of their own `sentinel_user` and `sentinel_password`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

Kind = Literal["single", "sentinel", "cluster"]
Place = tuple[str, int]

KINDS: dict[str, Kind] = {"": "single", "sentinel": "sentinel", "cluster": "cluster"}
PORTS: dict[Kind, int] = {"single": 6379, "sentinel": 26379, "cluster": 6379}
NO_PASSWORD = ""
"""For keys. With none at all, one that is encrypted would be asked for at the terminal, with everything standing still."""

PLACES_MAX = 64  # more seeds than that are a mistake, not a list
TLS_PARAMETERS = {"ca_file", "cert_file", "key_file"}
SENTINEL_PARAMETERS = {"sentinel_user", "sentinel_password"}
MASK = "***"
IPV6 = "In an address of Redis, an IPv6 host is written in brackets: [::1]:6379."


@dataclass(frozen=True, kw_only=True)
class Tls:
    """What encrypts a connection: files in PEM, of which none must be named. `key_file` may be in `cert_file`."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def check(self) -> None:
        """Whether the files can be used as they are now. They are read again for every connection, so they may be renewed.

        Raises: ValueError with a sentence.
        """
        for name in sorted(TLS_PARAMETERS):
            if (path := getattr(self, name)) is not None:
                try:
                    Path(path).read_bytes()
                except OSError as error:
                    raise ValueError(
                        f"{name} of the address of Redis cannot be read: {path}: {error.strerror}."
                    ) from None
        context = ssl.create_default_context()
        try:
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file, NO_PASSWORD)
        except ssl.SSLError:
            raise ValueError(
                "cert_file and key_file of the address of Redis must be a certificate and its own key, in PEM and without a password."
            ) from None
        try:
            if self.ca_file is not None:
                context.load_verify_locations(self.ca_file)
        except ssl.SSLError:
            raise ValueError(
                f"ca_file of the address of Redis holds no certificates in PEM: {self.ca_file}."
            ) from None


@dataclass(frozen=True, kw_only=True)
class Address:
    """A parsed address. `str()` and `repr()` show no secret."""

    kind: Kind
    places: tuple[Place, ...]
    master: str = ""
    database: ClassVar[int] = 0
    tls: Tls | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_user: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address in this text. Raises: ValueError with a sentence that shows no secret."""
        try:
            parts = urlsplit(text)
        except ValueError:
            raise ValueError(IPV6) from None
        scheme, _, flavour = parts.scheme.partition("+")
        if scheme not in {"redis", "rediss"} or flavour not in KINDS:
            raise ValueError(
                "An address of Redis begins with redis://, rediss://, redis+sentinel:// or redis+cluster://."
            )
        kind = KINDS[flavour]
        credentials, _, listed = parts.netloc.rpartition("@")
        user, colon, password = credentials.partition(":")
        master = _path(parts, kind)
        parameters = _parameters(parts, kind, scheme == "rediss")
        return cls(
            kind=kind,
            places=_places(listed, kind),
            master=master,
            tls=_tls(parameters) if scheme == "rediss" else None,
            user=unquote(user) or None,
            password=unquote(password) if colon else None,
            sentinel_user=parameters.get("sentinel_user"),
            sentinel_password=parameters.get("sentinel_password"),
        )

    def __str__(self) -> str:
        flavour = "" if self.kind == "single" else f"+{self.kind}"
        secret = "" if self.password is None else f":{MASK}"
        credentials = f"{self.user or ''}{secret}@" if self.user or secret else ""
        places = ",".join(shown(place) for place in self.places)
        path = "" if self.kind == "cluster" else f"/{self.database}"
        if self.kind == "sentinel":
            path = f"/{self.master}{path}"
        return f"redis{'s' if self.tls else ''}{flavour}://{credentials}{places}{path}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not stand in any text for people."""
        return tuple(secret for secret in (self.password, self.sentinel_password) if secret)


def shown(place: Place) -> str:
    """host:port, as people write it."""
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def place_of(text: str, port: int) -> Place:
    """The place that is written so, with this port if it names none. Raises: ValueError."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        colon, digits = rest[:1], rest[1:]
        if not bracket or (rest and colon != ":"):
            raise ValueError(IPV6)
    else:
        host, colon, digits = text.partition(":")
    if not host:
        raise ValueError("An address of Redis must name a host, as in redis://localhost:6379/0.")
    if colon and not (digits.isascii() and digits.isdecimal() and 0 < int(digits) < 65536):
        raise ValueError("In an address of Redis, a port is a number from 1 to 65535.")
    return (host, int(digits) if colon else port)


def _places(listed: str, kind: Kind) -> tuple[Place, ...]:
    places = tuple(place_of(text, PORTS[kind]) for text in listed.split(","))
    if kind == "single" and len(places) > 1:
        raise ValueError(
            "redis:// names one server; several are named by redis+sentinel:// or redis+cluster://."
        )
    if len(places) > PLACES_MAX:
        raise ValueError(f"An address of Redis names at most {PLACES_MAX} servers.")
    return places


def _path(parts: SplitResult, kind: Kind) -> str:
    """The master's name. Messages reach every database of a server, so there may be only one: see bus.py."""
    said = [unquote(part) for part in parts.path.split("/")[1:]]
    if said and said[-1] == "":
        said.pop()
    master = ""
    if kind == "sentinel":
        if not said:
            raise ValueError(
                "redis+sentinel:// must name the master that the sentinels watch: redis+sentinel://host:26379/mymaster/0."
            )
        master = said.pop(0)
    number = said.pop(0) if said else "0"
    if said or not (number.isascii() and number.isdecimal() and len(number) <= 5):
        raise ValueError("Behind the host, an address of Redis has only the number of a database, as in /0.")
    if kind == "cluster" and int(number) != 0:
        raise ValueError("A Redis Cluster has only database 0: leave the number out.")
    if int(number) != 0:
        raise ValueError(
            f"In an address of Redis the database is 0, not {int(number)}: messages in Redis know no databases, so give each "
            "deployment a Redis of its own."
        )
    return master


def _parameters(parts: SplitResult, kind: Kind, tls: bool) -> dict[str, str]:
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(given.keys() - TLS_PARAMETERS - SENTINEL_PARAMETERS):
        known = ", ".join(sorted(TLS_PARAMETERS | SENTINEL_PARAMETERS))
        raise ValueError(
            f"An address of Redis knows no {unknown[0]!r} behind the question mark, only {known}."
        )
    # Certificates for a connection in clear text are a mistake that nobody would notice.
    if not tls and (files := sorted(given.keys() & TLS_PARAMETERS)):
        raise ValueError(f"{files[0]} is for TLS: the address must begin with rediss.")
    if kind != "sentinel" and (words := sorted(given.keys() & SENTINEL_PARAMETERS)):
        raise ValueError(
            f"{words[0]} is for sentinels: the address must begin with redis+sentinel or rediss+sentinel."
        )
    if parts.fragment:
        raise ValueError("An address of Redis has no '#'; in a password it is written %23.")
    return given


def _tls(parameters: dict[str, str]) -> Tls:
    tls = Tls(**{name: parameters[name] for name in TLS_PARAMETERS if parameters.get(name)})
    if tls.key_file and not tls.cert_file:
        raise ValueError("key_file belongs to a certificate: name it as cert_file.")
    return tls
