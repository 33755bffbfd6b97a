"""Getting in: the four doors of identity, what the anonymous may, and every refusal told inside the socket."""

from __future__ import annotations

import asyncio

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from livecast.adapters.memory.log import MemoryRoomLog
from livecast.edge.access.auth import Authenticator
from livecast.edge.access.jwks import Jwks
from livecast.edge.rules import EdgeRules
from livecast.facts import Trouble
from livecast.ports import Unavailable
from support.house import SECRET, House, until
from support.viewer import RawSocket, Viewer, masked


@pytest.fixture
def edge_rules() -> EdgeRules:
    """Small numbers, so that every limit is met."""
    return EdgeRules(
        connections_per_address=5, connections_per_user=2, origins=("https://shop.example",), auth_deadline_ms=300, sweep_ms=50
    )


@pytest.fixture
async def room(house: House) -> House:
    """A node with one live room, `r`."""
    await house.live_room("r")
    return house


async def test_the_four_doors_of_identity(room):
    """A token counts in the header, as a subprotocol entry, in the query, and in an `auth` message; it is never echoed."""
    token = room.token("ada", name="Ada")
    entry = ["livecast.v1.msgpack", f"livecast.token.{token}"]
    async with (
        Viewer(room.port, "r", token) as header,
        Viewer(room.port, "r", query=f"?token={room.token('bob')}") as query,
        Viewer(room.port, "r", codec="msgpack", subprotocols=entry) as subprotocol,
        Viewer(room.port, "r") as message,
    ):
        assert (await header.welcome())["you"]["id"] == "ada"
        assert (await query.welcome())["you"]["id"] == "bob"
        assert (await subprotocol.welcome())["you"]["name"] == "Ada"
        assert subprotocol.socket.subprotocol == "livecast.v1.msgpack"
        assert (await message.welcome())["you"]["anonymous"] is True
        ack = await message.ask("auth", "a", token=room.token("cyd", can=["like"]))
        assert ack["verdict"] == "ok"
        assert ack["you"]["id"] == "cyd"
        assert ack["you"]["can"] == ["like"]


async def test_the_anonymous_read_and_no_more(room):
    """Without a token one watches; comments, gifts and likes ask for a sign-in, unless the policy lets the anonymous like."""
    async with Viewer(room.port, "r") as viewer:
        welcome = await viewer.welcome()
        assert welcome["you"]["can"] == []
        assert (await viewer.ask("comment", "c", text="hi"))["code"] == "unauthorized"
        assert (await viewer.ask("like", "l", n=1))["code"] == "unauthorized"
        assert (await viewer.ask("gift", "g", gift="rose", n=1))["code"] == "unauthorized"
        assert (await room.call("PATCH", "/v1/rooms/r/policy", json={"anonymous": "like"})).status == 200
        await viewer.until(lambda: any("policy" in f.get("state", {}) for f in viewer.of("frame")), "policy")
        assert (await viewer.ask("like", "m", n=2))["counted"] == 2
    async with Viewer(room.port, "r") as another:
        assert (await another.welcome())["you"]["can"] == ["like"]


async def test_a_token_that_cannot_be_judged_now(room):
    """While the issuer of keys is away, a token of a key not seen before is told to come again, not that it is wrong."""
    room.node.authenticator = Authenticator([SECRET], Jwks("http://127.0.0.1:1/jwks.json", room.clock, room.notes))
    key = ec.generate_private_key(ec.SECP256R1())
    token = jwt.encode({"sub": "ada", "exp": 4_000_000_000}, key, "ES256", headers={"kid": "new"})
    async with Viewer(room.port, "r", token) as viewer, Viewer(room.port, "r") as guest:
        closed, bye = await viewer.bye()
        assert (closed, bye["code"], bye["reconnect"]) == (4503, 4503, True)
        answer = await guest.ask("auth", "a", token=token)
        assert (answer["code"], answer["retry_after_ms"]) == ("unavailable", 1000)
        assert (await guest.ask("auth", "b", token=room.token("ada")))["verdict"] == "ok"
    refusal = await room.call("GET", "/v1/rooms/r/me", auth=token)
    assert (refusal.status, refusal.code, refusal.headers["Retry-After"]) == (503, "unavailable", "1")


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (lambda h: h.token("ada", ttl_s=-1), 4401),
        (lambda h: h.token("ada")[:-3] + "abc", 4401),
        (lambda _: "nonsense", 4401),
        (lambda h: h.token("ada", rooms=["other-*"]), 4403),
    ],
)
async def test_a_bad_token_is_never_anonymous(room, token, code):
    """Expired, forged or foreign tokens are refused after the upgrade, with a `bye` that a page can read."""
    async with Viewer(room.port, "r", token(room)) as viewer:
        closed, bye = await viewer.bye()
    assert (closed, bye["code"]) == (code, code)
    assert not viewer.of("welcome")
    assert "." not in bye["reason"].rstrip(".")


async def test_another_scheme_is_a_bad_token(room):
    """Whoever presents credentials that are none of ours means to be somebody: not let in as nobody."""
    async with Viewer(room.port, "r", headers={"Authorization": "Basic eDp5"}) as viewer:
        assert (await viewer.bye())[0] == 4401
    assert not viewer.of("welcome")


async def test_refusals_of_rooms(room):
    """An id that is none is a bad request, an unknown room is told as such."""
    async with Viewer(room.port, "no%20room", room.token()) as bad, Viewer(room.port, "nowhere", room.token()) as unknown:
        assert (await bad.bye())[0] == 4400
        assert (await unknown.bye())[0] == 4404


async def test_a_room_made_later_is_found(room):
    """That a room was unknown is remembered for a second only."""
    async with Viewer(room.port, "later") as early:
        assert (await early.bye())[0] == 4404
    await room.live_room("later")
    room.clock.ahead_ms += 1001
    async with Viewer(room.port, "later") as late:
        assert (await late.welcome())["room"] == "later"


async def test_subprotocols(room):
    """The first known codec wins; none offered means JSON; only strangers offered is a 400 before any upgrade."""
    async with (
        Viewer(room.port, "r", subprotocols=["soap", "livecast.v1.json", "livecast.v1.msgpack"]) as first,
        Viewer(room.port, "r", subprotocols=[]) as none,
    ):
        assert first.socket.subprotocol == "livecast.v1.json"
        assert none.socket.subprotocol is None
        assert (await none.welcome())["v"] == 1
    async with RawSocket(room.port, "r", head="Sec-WebSocket-Protocol: soap\r\n") as strangers:
        assert (await strangers.read_to_end()).startswith(b"HTTP/1.1 400 ")


async def test_origins(room):
    """Pages of foreign origins are refused, those of listed ones and clients without an Origin are not."""
    async with (
        Viewer(room.port, "r", headers={"Origin": "https://evil.example"}) as foreign,
        Viewer(room.port, "r", headers={"Origin": "https://SHOP.example"}) as listed,
    ):
        assert (await foreign.bye())[0] == 4403
        assert await listed.welcome()


async def test_connections_per_user_and_address(room):
    """Whoever has too many open connections is told 4429, and let in again when one is closed."""
    token = room.token("ada")
    async with Viewer(room.port, "r", token) as one, Viewer(room.port, "r", token) as two:
        await one.welcome()
        await two.welcome()
        async with Viewer(room.port, "r", token) as three:
            closed, bye = await three.bye()
            assert closed == 4429
            assert bye["reconnect"] is True
        async with Viewer(room.port, "r") as four, Viewer(room.port, "r") as five, Viewer(room.port, "r") as six:
            await four.welcome()
            await five.welcome()
            await six.welcome()
            # five of one address by now
            async with Viewer(room.port, "r") as seven:
                assert (await seven.bye())[0] == 4429
        await two.socket.close()
        async with Viewer(room.port, "r", token) as again:
            await again.welcome()


async def test_a_room_that_asks_for_tokens(room):
    """With `anonymous: "off"` a socket without a token may sign in at once, by message; else it is told 4401."""
    assert (await room.call("PATCH", "/v1/rooms/r/policy", json={"anonymous": "off"})).status == 200
    async with Viewer(room.port, "r") as silent, Viewer(room.port, "r") as signs_in:
        assert (await signs_in.ask("comment", "c", text="let me in"))["code"] == "unauthorized"
        ack = await signs_in.ask("auth", "a", token=room.token("ada"))
        assert ack["you"]["id"] == "ada"
        assert (await signs_in.welcome())["you"]["id"] == "ada"
        assert (await signs_in.ask("comment", "d", text="thank you"))["verdict"] == "shown"
        assert (await silent.bye())[0] == 4401
        assert not silent.of("welcome")


async def test_anonymous_viewers_go_when_the_room_asks_for_tokens(room):
    """Closing the room to the anonymous puts those out who are in, and nobody else."""
    async with Viewer(room.port, "r") as nobody, Viewer(room.port, "r", room.token("ada")) as ada:
        await nobody.welcome()
        await ada.welcome()
        assert (await room.call("PATCH", "/v1/rooms/r/policy", json={"anonymous": "off"})).status == 200
        assert (await nobody.bye())[0] == 4401
        assert (await ada.ask("ping", "p"))["t"] == "pong"


async def test_the_store_does_not_answer(room, monkeypatch):
    """A room that cannot be read just now is 4503 with a time to come back, not an unknown room."""

    async def silent(_self: MemoryRoomLog, room: str) -> None:
        raise Unavailable(room)

    monkeypatch.setattr(MemoryRoomLog, "read", silent)
    async with Viewer(room.port, "r") as viewer:
        closed, bye = await viewer.bye()
    assert closed == 4503
    assert bye["reconnect"] is True


async def test_bytes_behind_the_handshake_are_not_lost(room, monkeypatch):
    """A client may send its first messages without waiting for the handshake's answer, also while the view is being loaded."""
    original, first = MemoryRoomLog.read, b'{"t":"ping","cid":"first"}'

    async def slow(log, name):
        await asyncio.sleep(0.1)
        return await original(log, name)

    monkeypatch.setattr(MemoryRoomLog, "read", slow)
    for loaded in (False, True):
        if not loaded:
            room.node.views.drop("r")
        behind = RawSocket(room.port, "r")
        behind._head += masked(first)
        async with behind:
            await asyncio.sleep(0.03)
            behind.write(b'{"t":"ping","cid":"second"}')
            said = b""
            async with asyncio.timeout(5):
                while b'"cid":"second"' not in said:
                    said += await behind.reader.read(65536)
            assert said.index(b'"t":"welcome"') < said.index(b'"cid":"first"') < said.index(b'"cid":"second"')
            assert b'"t":"error"' not in said


async def test_an_origin_that_is_none(room):
    """An `Origin` that is no URL is refused like any other stranger's, over HTTP by not letting the page read."""
    async with Viewer(room.port, "r", headers={"Origin": "http://["}) as viewer:
        code, bye = await viewer.bye()
    assert (code, bye["code"], bye["reconnect"]) == (4403, 4403, False)
    for path in ("/v1/rooms/r/snapshot", "/healthz"):
        answer = await room.call("GET", path, auth=None, headers={"Origin": "http://["})
        assert answer.status == 200
        assert "Access-Control-Allow-Origin" not in answer.headers
    asked = {"Origin": "http://[", "Access-Control-Request-Method": "PUT"}
    assert "Access-Control-Allow-Methods" not in (await room.call("OPTIONS", "/v1/rooms/r", auth=None, headers=asked)).headers
    assert not room.notes.of(Trouble)


async def test_connections_per_user_where_people_sign_in_later(room):
    """Signing in by message counts like a token at the door; whoever has too many is told so; what goes out makes room."""
    assert (await room.call("PATCH", "/v1/rooms/r/policy", json={"anonymous": "off"})).status == 200
    token = room.token("ada")
    async with Viewer(room.port, "r") as one, Viewer(room.port, "r") as two, Viewer(room.port, "r") as three:
        for viewer in (one, two):
            assert (await viewer.ask("auth", "a", token=token))["you"]["id"] == "ada"
        refused = await three.ask("auth", "a", token=token)
        assert (refused["code"], refused["retry_after_ms"]) == ("rate_limited", 10_000)
        await one.socket.close()
        await until(lambda: room.node.admission._by_user == {"ada": 1}, "room for another")
        assert (await three.ask("auth", "b", token=token))["you"]["id"] == "ada"
        assert (await three.welcome())["you"]["id"] == "ada"
    await until(lambda: not room.node.admission._by_user and not room.node.admission._by_address, "everybody gone")


async def test_those_who_come_together(room, monkeypatch):
    """Of many handshakes in one turn of the loop each has its own answer, and a fault of ours in one keeps no other out."""
    enter = room.node.arrivals._enter
    together: list[int] = []
    arrive = room.node.arrivals.arrive

    def faulty(socket, *rest, **more):
        if socket.identity.person.id == "u3":
            raise RuntimeError("a fault of ours")
        enter(socket, *rest, **more)

    def counting(comers):
        together.append(len(comers))
        arrive(comers)

    monkeypatch.setattr(room.node.arrivals, "_enter", faulty)
    monkeypatch.setattr(room.node.arrivals, "arrive", counting)
    heads = [f"Authorization: Bearer {room.token(f'u{k}')}\r\n" for k in range(5)]
    heads[1] = "Authorization: Bearer forged\r\n"
    sockets = [RawSocket(room.port, "r", head=head) for head in heads]
    async with sockets[0] as a, sockets[1] as b, sockets[2] as c, sockets[3] as d, sockets[4] as e:
        for welcomed in (a, c, e):
            await asyncio.wait_for(welcomed.reader.readuntil(b'"t":"welcome"'), 10)
        assert b'"code":4401' in await asyncio.wait_for(b.reader.readuntil(b'"code":4401'), 10)
        assert b"welcome" not in await d.read_to_end(10)
        (told,) = room.notes.of(Trouble)
        assert "a fault of ours" in told.advice
        assert sum(together) == 5
        assert {socket.identity.person.id for socket in room.node.pulse.sockets.values()} == {"u0", "u2", "u4"}


async def test_much_behind_a_handshake(room):
    """What follows a handshake without waiting for its answer is read in order, however much it is."""
    async with RawSocket(room.port, "r", head=f"Authorization: Bearer {room.token('ada')}\r\n") as eager:
        for _ in range(3_000):
            eager.write(b"x" * 100, opcode=10)  # pongs that nobody asked for say nothing
        eager.write(b'{"t":"ping","cid":"last"}')
        await asyncio.wait_for(eager.reader.readuntil(b'"t":"welcome"'), 10)
        await asyncio.wait_for(eager.reader.readuntil(b'"cid":"last"'), 10)
