"""Certificates of an authority of our own, as PEM files, for servers and clients on this machine.

papers = Papers(tmp_path)
papers.issued("127.0.0.1")     # files of a certificate and its key
papers.ca_file                 # whom to trust
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)


class Issued(NamedTuple):
    """A certificate with what leads to its authority, and its key."""

    cert_file: str
    key_file: str


class Papers:
    """One authority, and where its papers lie."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self._authority.cert_pem.write_to_path(self.ca_file)

    def issued(self, name: str) -> Issued:
        """A certificate for a host, or whoever is called so."""
        leaf = self._authority.issue_cert(name)
        files = Issued(str(self._path(name, "pem")), str(self._path(name, "key")))
        for number, blob in enumerate(leaf.cert_chain_pems):
            blob.write_to_path(files.cert_file, append=number > 0)
        leaf.private_key_pem.write_to_path(files.key_file)
        return files

    def locked(self, name: str) -> str:
        """The file of that name's key, once more, under a password that nobody has."""
        key = load_pem_private_key(self._path(name, "key").read_bytes(), None)
        file = self._path(name, "locked.key")
        file.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        )
        return str(file)

    def _path(self, name: str, kind: str) -> Path:
        return self._folder / f"{name}.{kind}"
