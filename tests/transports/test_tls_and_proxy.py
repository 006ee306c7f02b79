"""Trust and ways: an own CA, client certificates, the one proxy that is named, and ambient settings that are not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.ports import TLS, Answer
from modelrouter.transports.credentials import CallableKey
from modelrouter.transports.direct import DirectTransport
from tests.transports.builders import call_to, completion, endpoint_of
from tests.transports.servers import RawServer, http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.transports.servers import Peer

K = FailureKind
SECRET = "sk" + "-live-0123456789"


@pytest.fixture
async def lane() -> AsyncIterator[DirectTransport]:
    """A lane that is closed afterwards."""
    transport = DirectTransport()
    yield transport
    await transport.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that only these tests know."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """The authority's certificate as a file."""
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


def server_context(authority: trustme.CA, *, name: str = "127.0.0.1", asks_for_client: bool = False) -> ssl.SSLContext:
    """A server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if asks_for_client:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def answer(peer: Peer) -> None:
    """Answer every request."""
    while True:
        await peer.request()
        await peer.send(http(completion()))


async def test_own_authority_is_trusted(lane: DirectTransport, authority: trustme.CA, ca_file: str) -> None:
    """With the CA file the call passes, and its connection is used again."""
    async with RawServer(answer, tls=server_context(authority)) as server:
        endpoint = endpoint_of(server.url, tls=TLS(ca_file=ca_file))
        for _ in range(2):
            assert isinstance(await lane.send(call_to(endpoint)), Answer)
        assert server.connections == 1
        assert isinstance(await lane.send(call_to(endpoint, fresh_connection=True)), Answer)
        await lane.close()


@pytest.mark.parametrize("flaw", ["unknown authority", "another name", "no TLS at all"])
async def test_server_that_is_not_trusted(
    lane: DirectTransport, authority: trustme.CA, ca_file: str, flaw: str
) -> None:
    """Nothing is sent, above all no key."""
    tls = server_context(authority, name="example.org" if flaw == "another name" else "127.0.0.1")
    trust = TLS() if flaw == "unknown authority" else TLS(ca_file=ca_file)
    async with RawServer(answer, tls=None if flaw == "no TLS at all" else tls) as server:
        url = server.url.replace("http://", "https://")
        got = await lane.send(call_to(endpoint_of(url, tls=trust, key=CallableKey(lambda: SECRET)), connect_s=0.5))
        assert isinstance(got, Failure)
        assert (got.kind, got.phase, got.status) == (K.UNREACHABLE, Phase.NOT_SENT, None)
        assert server.requests == []


async def test_client_certificate(lane: DirectTransport, authority: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    """A server that asks for a certificate gets ours, from one file or from two; without one there is no answer."""
    issued = authority.issue_cert("client@example.org")
    both, certificate, key = tmp_path / "both.pem", tmp_path / "certificate.pem", tmp_path / "key.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(both))
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    async with RawServer(answer, tls=server_context(authority, asks_for_client=True)) as server:
        for tls in (TLS(ca_file, str(both)), TLS(ca_file, str(certificate), str(key))):
            assert isinstance(await lane.send(call_to(endpoint_of(server.url, tls=tls))), Answer)
        got = await lane.send(call_to(endpoint_of(server.url, tls=TLS(ca_file))))
        assert isinstance(got, Failure)
        assert got.kind is K.UNREACHABLE
        assert len(server.requests) == 2
        await lane.close()


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_tls_file_that_is_missing_or_wrong(lane: DirectTransport, tmp_path: Path, content: str | None) -> None:
    """The file is named, and nothing is sent, over the plain and the streaming call."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    endpoint = endpoint_of("https://127.0.0.1:1/v1", tls=TLS(ca_file=str(file)))
    for got in (await lane.send(call_to(endpoint)), await lane.open(call_to(endpoint))):
        assert isinstance(got, Failure)
        assert (got.kind, got.phase) == (K.UNREACHABLE, Phase.NOT_SENT)
        assert f"`{file}`" in got.detail


async def forward(peer: Peer) -> None:
    """A proxy: tunnels CONNECT, and hands on a request that names a whole address."""
    first = await peer.request()
    method, target, _ = first.line.split(" ")
    authority_part = target if method == "CONNECT" else target.split("/")[2]
    host, _, port = authority_part.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        if method == "CONNECT":
            await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = "/" + target.split("/", 3)[3]
            rows = "".join(f"{name}: {value}\r\n" for name, value in first.headers.items())
            writer.write(f"{method} {path} HTTP/1.1\r\n{rows}\r\n".encode() + first.body)
        await asyncio.gather(pump(peer.reader, writer), pump(reader, peer.writer))
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy until the source ends."""
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


async def test_proxy_that_is_named_is_used(lane: DirectTransport, authority: trustme.CA, ca_file: str) -> None:
    """Plain HTTP is handed to the proxy, HTTPS is tunnelled through it, and the key is not shown to it."""
    async with RawServer(forward) as proxy:
        way = f"http://127.0.0.1:{proxy.port}"
        async with RawServer(answer) as server:
            assert isinstance(await lane.send(call_to(endpoint_of(server.url, proxy=way))), Answer)
            assert proxy.requests[0].line.startswith("POST http://127.0.0.1:")
        async with RawServer(answer, tls=server_context(authority)) as server:
            endpoint = endpoint_of(server.url, proxy=way, tls=TLS(ca_file), key=CallableKey(lambda: SECRET))
            assert isinstance(await lane.send(call_to(endpoint)), Answer)
            assert server.requests[0].headers["authorization"] == f"Bearer {SECRET}"
            tunnel = proxy.requests[1]
            assert tunnel.line == f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"
            assert SECRET not in str(tunnel.headers)
            await lane.close()


async def test_proxy_that_refuses(lane: DirectTransport, authority: trustme.CA, ca_file: str) -> None:
    """A proxy that lets nothing through: nothing reached the server, and its status is not the server's."""

    async def refuse(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    async with RawServer(refuse) as proxy, RawServer(answer, tls=server_context(authority)) as server:
        endpoint = endpoint_of(server.url, proxy=f"http://127.0.0.1:{proxy.port}", tls=TLS(ca_file))
        got = await lane.send(call_to(endpoint))
        assert isinstance(got, Failure)
        assert (got.kind, got.phase, got.status) == (K.UNREACHABLE, Phase.NOT_SENT, None)
        assert server.connections == 0


async def test_ambient_settings_are_ignored(
    lane: DirectTransport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Planted proxies, base URLs, keys and a netrc file change nothing: nobody but the declared host is connected."""
    async with RawServer(answer) as planted, RawServer(answer) as server:
        elsewhere = f"http://127.0.0.1:{planted.port}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, elsewhere)
        for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_PROXY"):
            monkeypatch.setenv(name, f"{elsewhere}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", SECRET)
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine 127.0.0.1 login someone password {SECRET}\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        endpoint = endpoint_of(server.url)
        assert isinstance(await lane.send(call_to(endpoint)), Answer)
        assert "authorization" not in server.requests[0].headers
    assert planted.connections == 0
