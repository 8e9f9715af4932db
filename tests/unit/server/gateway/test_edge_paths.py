"""Odd ways to write a path or a host give no data, on real sockets."""

import orjson
import pytest

from tunery_server.config import Settings

from .sockets import Edge

ODD_PATHS = [
    "//v1/models",
    "/v1//models",
    "/v1/%6dodels",
    "/v1%2fmodels",
    "/%2e%2e/v1/models",
    "/v1/../v1/models",
    "/./v1/models",
    "/V1/models",
    "/v1/models/",
    "/v1/models;a",
    "/v1/models?key=x",
    "/v1/models%00",
    "/v1/models%20",
    "/livez/../v1/models",
    "/livez/%2e%2e/v1/models",
    "/livez?/v1/models",
    "http://tunery/v1/models",
    "http://evil/v1/models",
    "*",
    "\\v1\\models",
    "/metrics/",
    "/openapi.json/",
    "/v1/files/../../metrics",
]


@pytest.mark.parametrize("path", ODD_PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_an_odd_path_gives_nothing_without_a_key(edge: Edge, method: str, path: str) -> None:
    request = edge.request(method, path).replace(edge.gateway.key.encode(), b"wrong")
    answer = await edge.send(request)
    if path.startswith("/livez?"):
        assert answer.status in {200, 405}
        assert answer.body == b'{"status":"ok"}' or answer.code == "method_not_allowed"
    else:
        assert answer.status in {400, 401, 404, 405}
        assert answer.code


@pytest.mark.parametrize("path", ODD_PATHS)
async def test_an_odd_path_gives_a_tenant_only_its_own(edge: Edge, path: str) -> None:
    """Another spelling of a route is that route or none."""
    theirs = edge.gateway.publish("rival").model
    answer = await edge.send(edge.request("GET", path))
    assert answer.status in {200, 400, 404}
    assert theirs.encode() not in answer.body


@pytest.mark.parametrize(
    "host", ["evil", "tunery@evil", "tunery:80@evil", "127.0.0.1", "tunery/v1/models?", "", "[::1]"]
)
async def test_any_host_does_by_default_and_decides_nothing(edge: Edge, host: str) -> None:
    request = edge.request("GET", "/v1/models").replace(b"Host: tunery", b"Host: " + host.encode())
    assert (await edge.send(request)).status in {200, 400}
    keyless = request.replace(edge.gateway.key.encode(), b"wrong")
    assert (await edge.send(keyless)).status in {401, 400}


class TestAllowedHosts:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"allowed_hosts": ("Tunery.example", "10.0.0.1")})

    @pytest.mark.parametrize(
        "host", ["tunery.example", "TUNERY.EXAMPLE", "tunery.example:8000", "10.0.0.1:80"]
    )
    async def test_a_listed_host_is_served(self, edge: Edge, host: str) -> None:
        assert await status_for(edge, host) == (200, None)

    @pytest.mark.parametrize(
        "host",
        [
            *("tunery", "evil.example", "tunery.example.evil", "xtunery.example", ""),
            *("tunery.example:evil", "tunery.example:80:80", "tunery.example@evil", "10.0.0.11"),
        ],
    )
    async def test_any_other_is_refused(self, edge: Edge, host: str) -> None:
        assert await status_for(edge, host) == (400, "invalid_host")


async def status_for(edge: Edge, host: str) -> tuple[int, str | None]:
    request = edge.request("GET", "/v1/models").replace(b"Host: tunery", b"Host: " + host.encode())
    answer = await edge.send(request)
    return answer.status, None if "data" in orjson.loads(answer.body) else answer.code


@pytest.mark.parametrize("path", ["/v1/files/a%00", "/v1/files?after=a%00b", "/v1/files?%00=1"])
async def test_no_record_is_asked_for_a_nul(edge: Edge, path: str) -> None:
    answer = await edge.send(edge.request("GET", path))
    assert (answer.status, answer.code) in {(404, "not_found"), (400, "invalid_value")}
    assert b"NUL" in answer.body
