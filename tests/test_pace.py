"""One visitor's share of requests, by a clock that the test turns; and the door that keeps to it."""
import asyncio

import httpx
import pytest

from lib.tabs import pace
from lib.tabs.door import Door


class Clock:
    """Seconds, turned by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_share_is_used_up_and_refills(clock):
    """Catches a limit that is never reached, and one that never ends; what is refused costs nothing."""
    shares = pace.Pace(rate=60, clock=clock)
    assert [shares.wait("a") for _ in range(pace.BURST)] == [0] * pace.BURST
    assert shares.wait("a") == shares.wait("a") == pytest.approx(1)
    clock.now += 0.9
    assert shares.wait("a") == pytest.approx(0.1)
    clock.now += 1.2
    assert [shares.wait("a") > 0 for _ in range(3)] == [False, False, True]
    clock.now += 10_000
    assert [shares.wait("a") > 0 for _ in range(pace.BURST + 1)] == [False] * pace.BURST + [True]


def test_everybody_has_a_share(clock):
    """Catches one visitor who shuts out another, and a machine that limits who runs it."""
    shares = pace.Pace(rate=60, clock=clock)
    for _ in range(3 * pace.BURST):
        shares.wait("greedy")
        assert shares.wait(None) == 0
    assert shares.wait("greedy") > 0 and shares.wait("other") == 0


def test_who_runs_it_sets_the_rate(clock, monkeypatch):
    monkeypatch.setenv("VOICE_ATLAS_RATE", "6")
    assert pace.Pace().rate == 6
    unlimited = pace.Pace(rate=0, clock=clock)
    assert all(unlimited.wait("a") == 0 for _ in range(10 * pace.BURST))


def test_visitors_of_old_are_forgotten(clock, monkeypatch):
    """Catches memory that grows with every address that ever came, and a forgotten share that was used up."""
    monkeypatch.setattr(pace, "MANY", 10)
    shares = pace.Pace(rate=60, clock=clock)
    for _ in range(pace.BURST):
        shares.wait("greedy")
    clock.now += 2
    for i in range(100):
        clock.now += 0.01
        shares.wait(i)
    clock.now += 1.5
    shares.wait("last")
    assert "greedy" in shares.shares and len(shares.shares) <= 12


@pytest.mark.parametrize(
    "peer, forwarded, visitor",
    [
        ("127.0.0.1", "", None),
        ("::1", "", None),
        ("", "", None),
        ("8.8.8.8", "", "8.8.8.8"),
        ("8.8.8.8", "9.9.9.9", "8.8.8.8"),
        ("127.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("10.0.0.7", "1.1.1.1, 9.9.9.9, 10.0.0.3", "9.9.9.9"),
        ("10.0.0.7", "nonsense", "10.0.0.7"),
        ("192.168.1.5", "", "192.168.1.5"),
        ("2a00:1450:4001:81b::200e", "", "2a00:1450:4001:81b::/64"),
    ],
)
def test_a_visitor_is_known_by_address(peer, forwarded, visitor):
    """Catches a header that anybody can invent, a proxy taken for its visitors, a household of many."""
    assert pace.visitor_of(peer, forwarded) == visitor


def test_the_door_tells_who_has_to_wait(clock):
    """Work and uploads count, the rest of the page does not; the words say how long to wait."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    door = Door(app, {"localhost"}, {"speak"}, {0})
    door.pace = pace.Pace(rate=60, clock=clock)
    paths = ("/gradio_api/queue/join", "/gradio_api/call/speak", "/gradio_api/upload")

    async def ask():
        transport = httpx.ASGITransport(door, client=("203.0.114.9", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for i in range(pace.BURST):
                assert (await client.post(paths[i % 3], json={})).status_code == 200
            for path in paths:
                answer = await client.post(path, json={})
                assert answer.status_code == 429 and "wait 1 s" in answer.json()["detail"]
            assert (await client.get("/")).status_code == 200
            assert (await client.post("/gradio_api/run/predict", json={})).status_code == 200
            clock.now += 1
            assert (await client.post(paths[0], json={})).status_code == 200

    asyncio.run(ask())
