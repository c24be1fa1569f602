"""Limits of time, size and place, against a server on loopback."""

import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zlib

import pytest
from ferrule.tools import ToolTimeout
from ferrule.tools.openapi import RequestError, ResponseError
from ferrule.tools.openapi.addresses import read_address
from ferrule.tools.openapi.client import Client, Limits, Request

from .service import Answer

FAST = Limits(connect=1, total=1.0, stall=0.15, bytes=100_000)


@pytest.fixture
def get(service):
    def get(path="/x", method="GET", limits=FAST, allow_private=True, base=None, body=None, headers=()):
        server = read_address(base or service.base)
        return Client(allow_private, limits).send(Request(method, server, path, headers, body))

    return get


def plain(**headers):
    return {"Content-Type": "text/plain", **headers}


def test_a_request_and_its_answer(service, get):
    service.answer = lambda request: Answer(201, plain(**{"X-A": "1"}), b"hello")
    reply = get("/a%2Fb?c=%20", "POST", body=b"x" * 200_000, headers=(("X-Text", "é"),))
    assert (reply.status, reply.headers["x-a"], reply.body) == (201, "1", b"hello")
    (recorded,) = service.requests
    assert (recorded.method, recorded.target, recorded.body) == ("POST", "/a%2Fb?c=%20", b"x" * 200_000)
    assert recorded.header("host") == service.base.removeprefix("http://")
    assert recorded.header("x-text").encode("latin-1") == "é".encode()


# -- where to ---------------------------------------------------------------------------------------------------------


def test_loopback_is_refused_unless_allowed(service, get):
    for base in (
        service.base,
        service.base.replace("127.0.0.1", "localhost"),
        f"http://[::ffff:127.0.0.1]:{service.server_port}",
    ):
        with pytest.raises(RequestError, match=r"no public address.*allow_private"):
            get(base=base, allow_private=False)
    for odd in ("2130706433", "0x7f.1", "127.1", "0177.0.0.1"):
        with pytest.raises(RequestError, match=r"no public address|not found"):
            get(base=f"http://{odd}:{service.server_port}", allow_private=False)
    assert not service.requests


def test_the_checked_address_is_the_one_connected_to(service, get, monkeypatch):
    """A name that is public when it is looked up and private a moment later."""
    answers = [[("93.184.216.34", 80)], [("127.0.0.1", service.server_port)]]
    real, connected = socket.getaddrinfo, []

    def lookup(host, port, *args, **kwargs):
        if host != "rebind.example":
            return real(host, port, *args, **kwargs)
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in found]

    def connect(address, timeout=None, source_address=None):
        connected.append(address[0])
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(RequestError, match="cannot connect"):
        get(base="http://rebind.example", allow_private=False)
    assert connected == ["93.184.216.34"]
    with pytest.raises(RequestError, match=r"127.0.0.1.*no public address"):
        get(base="http://rebind.example", allow_private=False)
    # Of several addresses only public ones are tried.
    answers[:] = [[("10.0.0.1", 80), ("::ffff:10.0.0.2", 80), ("1.1.1.1", 80)]]
    connected.clear()
    with pytest.raises(RequestError, match="cannot connect"):
        get(base="http://rebind.example", allow_private=False)
    assert connected == ["1.1.1.1"]


def test_the_next_address_is_tried(service, get, monkeypatch):
    real = socket.getaddrinfo

    def lookup(host, port, *args, **kwargs):
        if host != "two.example":
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert get(base=f"http://two.example:{service.server_port}").status == 200
    assert service.requests[0].header("host") == f"two.example:{service.server_port}"


def test_hosts_that_are_not_there(get, monkeypatch):
    def lookup(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(RequestError, match=r"cannot connect to 127.0.0.1"):
            get(base=f"http://127.0.0.1:{unused.getsockname()[1]}")
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(RequestError, match=r"'nowhere.example' is not found"):
        get(base="http://nowhere.example")


# -- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/end?q=1", "end?q=1", "{base}/end?q=1", "//{host}/end?q=1"])
def test_redirects_within_a_host(service, get, status, location):
    location = location.format(base=service.base, host=service.base.removeprefix("http://"))
    service.answer = lambda request: Answer() if request.target == "/end?q=1" else Answer(status, {"Location": location}, b"")
    assert get("/start", headers=(("X-Key", "k"),)).status == 200
    assert [request.target for request in service.requests] == ["/start", "/end?q=1"]
    assert service.requests[1].header("x-key") == "k"


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://localhost:{port}/", "another host"),
        ("http://127.0.0.1:1/", "another host"),
        ("https://127.0.0.1:{port}/", "another host"),
        ("//evil.example/", "another host"),
        ("http://evil.example@127.0.0.1:{port}/", "no address"),
        ("file:///etc/passwd", "no address"),
        ("javascript:alert(1)", "no address"),
        ("/é", "no address"),
        ("http://[::1", "no address"),
    ],
)
def test_redirects_elsewhere(service, get, location, words):
    location = location.format(port=service.server_port)
    service.answer = lambda request: Answer(302, {"Location": location}, b"")
    with pytest.raises(ResponseError, match=words):
        get()
    assert len(service.requests) == 1


def test_redirects_in_a_circle(service, get):
    service.answer = lambda request: Answer(302, {"Location": "/a" if request.target == "/b" else "/b"}, b"")
    with pytest.raises(ResponseError, match="in a circle"):
        get()
    assert len(service.requests) == 6


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_only_reading_is_redirected(service, get, method):
    service.answer = lambda request: Answer(307, {"Location": "/y"}, b"")
    with pytest.raises(ResponseError, match=f"redirects {method} to '/y'"):
        get(method=method)
    assert len(service.requests) == 1


# -- time -------------------------------------------------------------------------------------------------------------


def waits(service):
    return lambda handler: service.released.wait(10)


def within(seconds):
    start = time.monotonic()
    return lambda: time.monotonic() - start < seconds


def test_a_body_that_stalls(service, get):
    def write(handler):
        handler.wfile.write(b"x" * 10)
        service.released.wait(10)

    service.answer = lambda request: Answer(200, plain(**{"Content-Length": "100"}), write=write)
    in_time = within(0.9)
    with pytest.raises(ToolTimeout, match=r"stopped in the middle of its answer: nothing came for 0.15 s"):
        get()
    assert in_time()


def test_a_server_that_does_not_answer(service, get):
    def slow(request):
        service.released.wait(10)
        return Answer()

    service.answer = slow
    in_time = within(3)
    with pytest.raises(ToolTimeout, match=r"longer than the limit of 0.3 s"):
        get(limits=Limits(total=0.3, stall=0.1))
    assert in_time()


def test_a_body_that_drips_for_ever(service, get):
    def write(handler):
        while not service.released.wait(0.05):
            handler.wfile.write(b"x")

    service.answer = lambda request: Answer(200, plain(), write=write)
    in_time = within(3)
    with pytest.raises(ToolTimeout, match=r"longer than the limit of 0.4 s"):
        get(limits=Limits(total=0.4, stall=0.3))
    assert in_time()


def test_headers_that_drip_for_ever(get):
    """A server of its own: http.server writes its headers at once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                try:
                    while True:
                        time.sleep(0.02)
                        connection.sendall(b"X-A: b\r\n")
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        in_time = within(3)
        with pytest.raises(ToolTimeout, match=r"longer than the limit of 0.3 s"):
            get(base=f"http://127.0.0.1:{listening.getsockname()[1]}", limits=Limits(total=0.3, stall=0.2))
        assert in_time()


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", RequestError, "without an answer"),
        (b"nonsense\r\n\r\n", RequestError, "without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", ResponseError, "breaks off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", ResponseError, "breaks off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc", RequestError, "without an answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", RequestError, "without an answer"),
    ],
)
def test_connections_that_break(get, data, error, words):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(1)
                try:
                    while connection.recv(65536):
                        pass
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(error, match=words) as caught:
            get(base=f"http://127.0.0.1:{listening.getsockname()[1]}")
        assert "\n" not in str(caught.value)


# -- size -------------------------------------------------------------------------------------------------------------


def test_a_hundred_megabytes(service, get):
    service.answer = lambda request: Answer(200, plain(**{"Content-Length": "100000000"}), write=waits(service))
    with pytest.raises(ResponseError, match="announces 100000000 bytes; at most 100000"):
        get()
    written = []

    def write(handler):
        for _ in range(1600):
            handler.wfile.write(b"x" * 65536)
            written.append(65536)

    service.answer = lambda request: Answer(200, plain(), write=write)
    with pytest.raises(ResponseError, match="larger than 100000 bytes"):
        get(limits=Limits(total=10, bytes=100_000))
    assert sum(written) < 50_000_000


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "deflate", "raw", "members", "identity"])
def test_compressed_bodies(service, get, encoding):
    text = b"hello, " * 5000
    raw = zlib.compressobj(wbits=-15)
    data = {
        "deflate": zlib.compress(text),
        "raw": raw.compress(text) + raw.flush(),
        "members": gzip.compress(text[:1000]) + gzip.compress(text[1000:]),
        "identity": text,
    }.get(encoding, gzip.compress(text))
    name = {"raw": "deflate", "members": "gzip"}.get(encoding, encoding)
    service.answer = lambda request: Answer(200, plain(**{"Content-Encoding": name}), data)
    assert get().body == text


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb(service, get, encoding):
    squeeze = gzip.compress if encoding == "gzip" else zlib.compress
    bomb = squeeze(b"\0" * 50_000_000)
    service.answer = lambda request: Answer(200, plain(**{"Content-Encoding": encoding}), bomb)
    assert len(bomb) < 100_000
    in_time = within(1)
    with pytest.raises(ResponseError, match="larger than 100000 bytes"):
        get()
    assert in_time()


@pytest.mark.parametrize(
    ("encoding", "data", "words"),
    [
        ("br", b"x", "'br', which was not asked for"),
        ("gzip, gzip", b"x", "not asked for"),
        ("gzip", b"not gzip", "not gzip, as it says"),
        ("gzip", gzip.compress(b"x" * 100)[:-4], "breaks off"),
        ("deflate", b"\xff\xff", "not raw deflate"),
    ],
)
def test_encodings_that_are_refused(service, get, encoding, data, words):
    service.answer = lambda request: Answer(200, plain(**{"Content-Encoding": encoding}), data)
    with pytest.raises(ResponseError, match=words):
        get()


# -- TLS --------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_certificates_are_checked(get, tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    command += f" -addext subjectAltName=DNS:localhost -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            while True:
                try:
                    connection, _ = listening.accept()
                    with context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(65536)
                        secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        port = listening.getsockname()[1]
        with pytest.raises(RequestError, match="certificate verify failed"):
            get(base=f"https://localhost:{port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert get(base=f"https://localhost:{port}").body == b"ok"
        with pytest.raises(RequestError, match="certificate verify failed"):
            get(base=f"https://127.0.0.1:{port}")
