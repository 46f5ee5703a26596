"""HTTPS: certificates that are read again, and clients that must show one."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
import trustme

from router.http.tls import is_welcome
from tests.fake_mesh import FakeMesh
from tests.gateway import Gateway, trusting
from waypost.config import ServerTls

DENIED = (httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError, httpx.WriteError)


class Files:
    """Certificates in a folder, of authorities that a test can change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server, self.clients = trustme.CA(), trustme.CA()

    def write(self) -> ServerTls:
        """What the gateway shows, and whom it lets in."""
        made = self.server.issue_cert("127.0.0.1")
        made.private_key_pem.write_to_path(self._path("key.pem"))
        made.cert_chain_pems[0].write_to_path(self._path("cert.pem"))
        self.clients.cert_pem.write_to_path(self._path("clients.pem"))
        return ServerTls(cert=self._path("cert.pem"), key=self._path("key.pem"))

    def mutual(self, *names: str) -> ServerTls:
        """With certificates of clients."""
        return self.write().model_copy(update={"client_ca": self._path("clients.pem"), "client_names": names})

    def client(self, name: str | None = None) -> ssl.SSLContext:
        """What a client of this name believes and shows; without one, it shows nothing."""
        self.server.cert_pem.write_to_path(self._path("ca.pem"))
        if name is None:
            return trusting(self._path("ca.pem"))
        shown = self._path("client.pem")
        self.clients.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(shown)
        return trusting(self._path("ca.pem"), shown)

    def _path(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A folder of certificates."""
    return Files(tmp_path)


def status(gateway: Gateway, context: ssl.SSLContext) -> int:
    """What a new connection is told."""
    return httpx.get(f"{gateway.url}/healthz", verify=context).status_code


def test_https(mesh: FakeMesh, files: Files) -> None:
    """For who believes its authority."""
    with Gateway(mesh.address, files.write()) as gateway:
        assert gateway.url.startswith("https://")
        assert status(gateway, files.client()) == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(gateway.url)


def test_certificates_are_read_again(mesh: FakeMesh, files: Files) -> None:
    """For the connections from then on; what cannot be used leaves the old ones."""
    with Gateway(mesh.address, files.write()) as gateway:
        before = files.client()
        files.server = trustme.CA()
        files.write()
        assert status(gateway, before) == 200
        assert gateway.certificates
        gateway.certificates.look()
        assert status(gateway, files.client()) == 200
        with pytest.raises(httpx.ConnectError):
            status(gateway, before)
        (files.folder / "key.pem").write_text("no key")
        gateway.certificates.look()
        assert status(gateway, files.client()) == 200


def test_only_clients_of_the_authority(mesh: FakeMesh, files: Files) -> None:
    """Also after another has taken its place."""
    with Gateway(mesh.address, files.mutual()) as gateway:
        old = files.client("anybody.example")
        assert status(gateway, old) == 200
        with pytest.raises(DENIED):
            status(gateway, files.client())
        files.clients = trustme.CA()
        files.mutual()
        assert gateway.certificates
        gateway.certificates.look()
        assert status(gateway, files.client("anybody.example")) == 200
        with pytest.raises(DENIED):
            status(gateway, old)


def test_only_clients_of_a_name(mesh: FakeMesh, files: Files) -> None:
    """Where names are configured."""
    with Gateway(mesh.address, files.mutual("app.example")) as gateway:
        assert status(gateway, files.client("app.example")) == 200
        with pytest.raises(DENIED):
            status(gateway, files.client("other.example"))


@pytest.mark.parametrize(
    ("kind", "value", "names", "welcome"),
    [
        ("DNS", "app.example", ("app.example", "b"), True),
        ("DNS", "App.Example", ("app.example",), True),
        ("DNS", "evil.example", ("app.example",), False),
        ("IP Address", "0:0:0:0:0:0:0:1", ("::1",), True),
        ("email", "app.example", ("app.example",), False),
        ("DNS", "anybody", (), True),
    ],
)
def test_names_of_certificates(kind: str, value: str, names: tuple[str, ...], welcome: bool) -> None:
    """DNS and IP names count, however they are written."""
    assert is_welcome({"subjectAltName": ((kind, value),)}, names) is welcome


def test_no_certificate_has_no_name() -> None:
    """Nobody."""
    assert not is_welcome(None, ("app.example",))
