"""One POST, to real sockets on loopback. What is refused opens no connection."""

import ssl
import subprocess
from pathlib import Path

import pytest

from tests.receivers import (
    NameServer,
    Receiver,
    answering,
    endless,
    endless_headers,
    hanging,
    nonsense,
)
from tunery_server.webhooks.destinations import Destinations
from tunery_server.webhooks.poster import Answer, Outcome, Poster
from tunery_server.webhooks.signing import Message

MESSAGE = Message(b'{"id":"evt_1"}', {"Content-Type": "application/json", "webhook-id": "evt_1"})


def poster_to(*hosts: str, names: NameServer | None = None, timeout_s: float = 5) -> Poster:
    resolver = names or NameServer()
    return Poster(Destinations.of(hosts), resolver=lambda: resolver, timeout_s=timeout_s)


async def test_a_message_arrives_as_it_was_signed(receiver: Receiver) -> None:
    answer = await poster_to(receiver.host).post(receiver.url + "?a=b", MESSAGE)
    assert answer == Answer(Outcome.DELIVERED, 200)
    [got] = receiver.received
    assert (got.line, got.body) == ("POST /in?a=b HTTP/1.1", MESSAGE.body)
    assert (
        got.headers.items() >= {"content-type": "application/json", "webhook-id": "evt_1"}.items()
    )
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert "cookie" not in got.headers


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (299, Outcome.DELIVERED),
        (300, Outcome.REJECTED),
        (404, Outcome.REJECTED),
        (410, Outcome.GONE),
        (429, Outcome.REJECTED),
        (500, Outcome.REJECTED),
        (999, Outcome.REJECTED),
    ],
)
async def test_the_status_says_whether_it_was_taken(
    receiver: Receiver, status: int, outcome: Outcome
) -> None:
    receiver.respond = answering(status)
    assert await poster_to(receiver.host).post(receiver.url, MESSAGE) == Answer(outcome, status)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    async with Receiver() as inside:
        receiver.respond = answering(status, f"Location: {inside.url}")
        poster = poster_to(receiver.host, inside.host)
        assert await poster.post(receiver.url, MESSAGE) == Answer(Outcome.REJECTED, status)
    assert inside.connections == 0


async def test_cookies_are_not_kept(receiver: Receiver) -> None:
    receiver.respond = answering(200, "Set-Cookie: a=b")
    poster = poster_to(receiver.host)
    for _ in range(2):
        await poster.post(receiver.url, MESSAGE)
    assert "cookie" not in receiver.received[1].headers
    assert receiver.connections == 2


async def test_a_receiver_that_hangs_is_left(receiver: Receiver) -> None:
    receiver.respond = hanging
    answer = await poster_to(receiver.host, timeout_s=0.2).post(receiver.url, MESSAGE)
    assert answer == Answer(Outcome.TIMEOUT)


async def test_a_body_without_end_is_not_read(receiver: Receiver) -> None:
    receiver.respond = endless
    answer = await poster_to(receiver.host, timeout_s=2).post(receiver.url, MESSAGE)
    assert answer == Answer(Outcome.DELIVERED, 200)


@pytest.mark.parametrize("respond", [endless_headers, nonsense])
async def test_an_answer_that_is_not_http_is_a_failure(receiver: Receiver, respond: object) -> None:
    receiver.respond = respond  # type: ignore[assignment]
    answer = await poster_to(receiver.host, timeout_s=2).post(receiver.url, MESSAGE)
    assert answer == Answer(Outcome.UNREACHABLE)


async def test_nobody_there_is_a_failure() -> None:
    async with Receiver() as receiver:
        host, url = receiver.host, receiver.url
    assert await poster_to(host).post(url, MESSAGE) == Answer(Outcome.UNREACHABLE)


SPELLINGS = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://127.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://2130706433:{port}/",
    "http://0.0.0.0:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::1]:{port}/",
    "http://hooks.example.com@127.0.0.1:{port}/",
    "http://hooks.example.com:80@127.0.0.1:{port}/",
    "http://hooks.example.com#@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@hooks.example.com/",
    "http://\uff11\uff12\uff17.0.0.1:{port}/",
    "http://127\u30020\u30020\u30021:{port}/",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_an_url_that_is_not_listed_opens_no_connection(
    receiver: Receiver, spelling: str
) -> None:
    names = NameServer("127.0.0.1")
    poster = poster_to(f"http://hooks.example.com:{receiver.port}", names=names)
    url = spelling.format(port=receiver.port)
    assert await poster.post(url, MESSAGE) == Answer(Outcome.REFUSED)
    assert (receiver.connections, names.asked) == (0, [])


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("public", [(), ("8.8.8.8",)])
async def test_a_listed_name_that_leads_inside_opens_no_connection(
    receiver: Receiver, address: str, public: tuple[str, ...]
) -> None:
    names = NameServer(*public, address)
    poster = poster_to(f"http://hooks.example.com:{receiver.port}", names=names)
    url = f"http://hooks.example.com:{receiver.port}/"
    assert await poster.post(url, MESSAGE) == Answer(Outcome.REFUSED)
    assert receiver.connections == 0


async def test_a_name_is_looked_up_once_and_anew_for_every_message(receiver: Receiver) -> None:
    """Between the check and the connection there is no second look-up to lie to."""
    names = NameServer("127.0.0.1")
    hosts = (f"http://hooks.example.com:{receiver.port}", receiver.host)
    poster = poster_to(*hosts, names=names)
    url = f"http://hooks.example.com:{receiver.port}/"
    assert (await poster.post(url, MESSAGE)).outcome is Outcome.DELIVERED
    assert names.asked == ["hooks.example.com"]
    names.addresses = ("127.0.0.2",)
    assert (await poster.post(url, MESSAGE)).outcome is Outcome.REFUSED
    assert names.asked == 2 * ["hooks.example.com"]
    assert receiver.connections == 1
    assert receiver.received[0].headers["host"] == f"hooks.example.com:{receiver.port}"


async def test_the_machines_own_resolver_is_asked(receiver: Receiver) -> None:
    destinations = Destinations.of([f"http://localhost:{receiver.port}", receiver.host])
    url = f"http://localhost:{receiver.port}/"
    unlisted = Poster(Destinations.of([f"http://localhost:{receiver.port}"]))
    assert (await unlisted.post(url, MESSAGE)).outcome is Outcome.REFUSED
    assert receiver.connections == 0
    assert (await Poster(destinations).post(url, MESSAGE)).outcome in {
        Outcome.DELIVERED,
        Outcome.REFUSED,  # where localhost has an address of IPv6, too
    }


async def test_a_proxy_from_the_environment_is_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        answer = await poster_to(receiver.host).post(receiver.url, MESSAGE)
    assert answer.outcome is Outcome.DELIVERED
    assert proxy.connections == 0


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    async with Receiver(tls=self_signed(tmp_path)) as receiver:
        poster = poster_to(f"127.0.0.1:{receiver.port}")
        answer = await poster.post(f"https://127.0.0.1:{receiver.port}/", MESSAGE)
    assert answer == Answer(Outcome.UNTRUSTED)
    assert receiver.received == []


def self_signed(folder: Path) -> ssl.SSLContext:
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-nodes", "-keyout", key, "-out", certificate, "-days", "1"]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
