"""Where webhooks may go. Whatever else an URL can be spelt like, it goes nowhere."""

import pytest

from tunery_server.errors import ConfigError, DestinationRefused
from tunery_server.webhooks.destinations import MAX_URL, Destinations

LISTED = Destinations.of(
    [
        "hooks.example.com",
        "hooks.example.com:8443",
        "http://receiver",
        "http://receiver:8080",
        "10.1.0.0/16:8443",
        "http://127.0.0.1:9000",
        "[fd00::/8]",
    ]
)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://hooks.example.com", "https://hooks.example.com:443/"),
        ("HTTPS://Hooks.Example.COM/a?b=c", "https://hooks.example.com:443/a?b=c"),
        ("https://hooks.example.com:443/%2e%2e/a//b", "https://hooks.example.com:443/%2e%2e/a//b"),
        ("https://hooks.example.com:8443/x", "https://hooks.example.com:8443/x"),
        ("http://receiver/x", "http://receiver:80/x"),
        ("https://10.1.2.3:8443/", "https://10.1.2.3:8443/"),
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000/"),
        ("https://[FD00:0:0::1]/", "https://[fd00::1]:443/"),
    ],
)
def test_what_is_listed_is_allowed_in_one_plain_spelling(url: str, plain: str) -> None:
    assert LISTED.check(url).url == plain


NOT_LISTED = [
    "https://example.com/",
    "https://evil-hooks.example.com/",
    "https://hooks.example.com.evil.com/",
    "http://hooks.example.com/",
    "https://hooks.example.com:80/",
    "https://hooks.example.com:22/",
    "https://receiver/",
    "http://receiver:6379/",
    "https://10.2.0.1:8443/",
    "https://10.1.0.1/",
    "http://127.0.0.1/",
    "http://127.0.0.2:9000/",
    "http://localhost:9000/",
    "http://169.254.169.254/latest/meta-data/",
    "https://8.8.8.8/",
    "https://[::1]/",
]
ODDLY_SPELT = [
    "http://127.1:9000/",
    "http://0x7f.1:9000/",
    "http://0x7f000001:9000/",
    "http://2130706433:9000/",
    "http://0177.0.0.1:9000/",
    "http://127.000.000.001:9000/",
    "http://127.0.0.1.:9000/",
    "http://[::ffff:127.0.0.1]:9000/",
    "http://[::ffff:7f00:1]:9000/",
    "http://[127.0.0.1]:9000/../",
    "http://\uff11\uff12\uff17.0.0.1:9000/",
    "http://127\u30020\u30020\u30021:9000/",
    "http://\u2460\u2461\u2466.0.0.1:9000/",
    "https://hooks.example.com./",
    "https://hooks.example.com\u3002/",
    "https://hooks.example.com\u00ad/",
    "https://hooks.ex\u0430mple.com/",
    "https://.hooks.example.com/",
    "https://hooks..example.com/",
    "https://[fd00::1%25eth0]/",
    "https://[fd00::1%eth0]/",
    "https://[v1.fd00]/",
    "https://fd00::1/",
]
MALFORMED = [
    "",
    "hooks.example.com",
    "//hooks.example.com/",
    "https:hooks.example.com",
    "https:/hooks.example.com",
    "https:///hooks.example.com",
    "https:\\\\hooks.example.com",
    "https://hooks.example.com\\@evil.com/",
    "https://hooks.example.com@evil.com/",
    "https://user:pass@hooks.example.com/",
    "https://user@hooks.example.com/",
    "https://@hooks.example.com/",
    "https://hooks.example.com#@evil.com/",
    "https://hooks.example.com/#fragment",
    "https://hooks.example.com:/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:0443/",
    "https://hooks.example.com:+443/",
    "https://hooks.example.com:65979/",
    "https://hooks.example.com:4430000/",
    "https://hooks.example.com:\uff14\uff14\uff13/",
    "https://hooks.example.com%2eevil.com/",
    "https://hooks%2eexample.com/",
    "https://hooks.example.com/a b",
    "https://hooks.example.com/\r\nHost: evil.com",
    "https://hooks.example.com\r\n/",
    "https://hooks.example.com/\n",
    "\thttps://hooks.example.com/",
    " https://hooks.example.com/",
    "https://hooks.example.com/\0",
    "https://hooks.example.com/\ud800",
    "https://hooks.example.com/é",
    "https://" + "a." * 200 + "com/",
    "https://" + "a" * 64 + ".com/",
    "https://hooks.example.com/" + "a" * MAX_URL,
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_",
    "javascript:alert(1)",
    "unix:///run/valkey.sock",
]


@pytest.mark.parametrize("url", [*NOT_LISTED, *ODDLY_SPELT, *MALFORMED])
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(DestinationRefused) as raised:
        LISTED.check(url)
    assert (raised.value.code, raised.value.param) == ("destination_not_allowed", "url")
    assert "evil" not in raised.value.message


def test_an_empty_list_is_off() -> None:
    nowhere = Destinations.of([])
    assert nowhere.off
    assert not LISTED.off
    with pytest.raises(DestinationRefused):
        nowhere.check("https://hooks.example.com/")


INSIDE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1"),  # noqa: S104
    *("192.168.0.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16"),
    *("192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1"),
    *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:7f00:1"),
    *("64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001::1", "2001:db8::1"),
    *("fe80::1", "fe80::1%1", "fec0::1", "fc00::1", "fd00::1", "fd00:ec2::254"),
    *("ff02::1", "ff0e::1", "100::1", "3fff::1", "5f00::1"),
]


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_must_not_stand_for_an_address_inside(address: str) -> None:
    with pytest.raises(DestinationRefused):
        Destinations.of(["hooks.example.com"]).check_address(address, 443)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450::1"])
def test_a_name_may_stand_for_a_public_address(address: str) -> None:
    Destinations.of(["hooks.example.com"]).check_address(address, 443)


@pytest.mark.parametrize("address", ["10.1.2.3", "127.0.0.1", "fd00::1"])
def test_an_address_inside_is_allowed_when_it_is_listed_with_that_port(address: str) -> None:
    listed = Destinations.of(["10.0.0.0/8", "127.0.0.1", "[fd00::/8]"])
    listed.check_address(address, 443)
    with pytest.raises(DestinationRefused):
        listed.check_address(address, 6379)


def test_a_mapped_address_is_refused_whatever_is_listed() -> None:
    with pytest.raises(DestinationRefused):
        Destinations.of(["127.0.0.0/8", "[::/8]"]).check_address("::ffff:127.0.0.1", 443)


@pytest.mark.parametrize(
    "entry",
    [
        *("", "*", "*.example.com", "https://", "ftp://x", "user@x", "x/path", "x:0", "x:65536"),
        *("10.0.0.1/8", "10.0.0.0/33", "0.0.0.0/0", "[::/0]", "127.1", "1.2.3.4.5", "x:port"),
        *("http://x y", "\u0445.example.com"),
    ],
)
def test_an_entry_that_cannot_be_read_is_named(entry: str) -> None:
    with pytest.raises(ConfigError, match="webhook_hosts"):
        Destinations.of(["hooks.example.com", entry])
