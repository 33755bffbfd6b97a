"""Which tokens are believed. Every way around a signature that is known for JWT is tried here."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from livecast.edge.access.auth import Authenticator
from livecast.edge.access.identity import CAN_ALL, AuthError
from livecast.edge.access.jwks import REFRESH_MS, RETRIES_AT_ONCE, RETRY_MS, STALE_MS, Jwks, KeysStale
from livecast.edge.access.tokens import mint
from livecast.facts import Fact, KeysFetched, Trouble
from support.house import until

SECRET = "the-first-secret-of-forty-characters-or-so"
OLD_SECRET = "the-secret-before-that-of-similar-length"
NOW = 1_800_000_000_000
EXP = NOW // 1000 + 60

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)


def key_set(**extra):
    """The public halves of our keys, as an issuer publishes them."""
    keys = [
        {**json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": "rsa", "use": "sig", **extra.get("rsa", {})},
        {**json.loads(ECAlgorithm.to_jwk(EC_KEY.public_key())), "kid": "ec"},
        {**json.loads(OKPAlgorithm.to_jwk(ED_KEY.public_key())), "kid": "ed"},
        {"kty": "oct", "k": urlsafe_b64encode(SECRET.encode()).decode(), "kid": "shared", "alg": "HS256"},
    ]
    return json.dumps({"keys": keys}).encode()


@pytest.fixture
def authenticator() -> Authenticator:
    """Two secrets in force and a key set at hand."""
    jwks = Jwks("http://issuer.example/jwks.json", lambda: NOW, Heard())
    jwks.load(key_set())
    return Authenticator([SECRET, OLD_SECRET], jwks)


def refused(authenticator, token, code="unauthorized", room="r", now=NOW):
    """The message of a refusal, which must not quote the token."""
    with pytest.raises(AuthError) as fault:
        authenticator.check(token, room, now)
    assert fault.value.code == code
    for part in token.split("."):
        assert len(part) < 4 or part not in str(fault.value)
    return str(fault.value)


def hs256(claims, secret=SECRET, **headers):
    """A token as another library makes it."""
    return jwt.encode(claims, secret, "HS256", headers=headers or None)


def test_claims_become_an_identity(authenticator):
    """Every claim lands where it belongs, and absent ones mean what they should."""
    facts = {"vip": True}
    full = {"sub": "ada", "exp": EXP, "name": "Ada L", "avatar": "https://x/y.png", "role": "host", "rooms": ["show-*"], "level": 7}
    token = hs256({**full, "badges": ["fan"], "can": ["like", "gift", "fly"], "facts": facts, "merchant": "acme", "iss": "else"})
    identity = authenticator.check(token, "show-1", NOW)
    person = identity.person
    assert (person.id, person.name, person.role, person.level, person.badges) == ("ada", "Ada L", "host", 7, ("fan",))
    assert person.avatar == "https://x/y.png"
    assert identity.can == ("like", "gift")
    assert (identity.facts, identity.merchant, identity.expires_at_ms) == (facts, "acme", EXP * 1000)
    plain = authenticator.check(hs256({"sub": "bob", "exp": EXP}), "any", NOW)
    assert (plain.person.name, plain.person.role, plain.can) == ("bob", "viewer", CAN_ALL)


def test_rooms(authenticator):
    """A viewer's token without `rooms` is for all; a staff token without it is refused; another room is `forbidden`."""
    assert authenticator.check(hs256({"sub": "a", "exp": EXP}), "whatever", NOW)
    for role in ("host", "moderator", "merchant"):
        refused(authenticator, hs256({"sub": "a", "exp": EXP, "role": role}))
    refused(authenticator, hs256({"sub": "a", "exp": EXP, "rooms": ["show-*"]}), "forbidden")
    refused(authenticator, hs256({"sub": "a", "exp": EXP, "rooms": []}), "forbidden")
    assert authenticator.check(hs256({"sub": "a", "exp": EXP, "rooms": ["x", "r?"]}), "r1", NOW)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": EXP},
        {"sub": "a"},
        {"sub": "", "exp": EXP},
        {"sub": "a/b", "exp": EXP},
        {"sub": "a b", "exp": EXP},
        {"sub": "ä", "exp": EXP},
        {"sub": "a" * 129, "exp": EXP},
        {"sub": 7, "exp": EXP},
        {"sub": "a", "exp": str(EXP)},
        {"sub": "a", "exp": None},
        {"sub": "a", "exp": -1},
        {"sub": "a", "exp": EXP * 1000},
        {"sub": "a", "exp": EXP, "role": "service"},
        {"sub": "a", "exp": EXP, "role": "admin"},
        {"sub": "a", "exp": EXP, "rooms": "r"},
        {"sub": "a", "exp": EXP, "can": "like"},
        {"sub": "a", "exp": EXP, "level": 1.5},
        {"sub": "a", "exp": EXP, "facts": {"x": "y" * 1100}},
        {"sub": "a", "exp": EXP, "facts": []},
        {"sub": "a", "exp": EXP, "level": -1},
        {"sub": "a", "exp": EXP, "badges": ["x", 1]},
        {"sub": "a", "exp": EXP, "badges": "x"},
        {"sub": "a", "exp": EXP, "avatar": 1},
        {"sub": "a", "exp": EXP, "nbf": "soon"},
    ],
)
def test_wrong_claims(authenticator, claims):
    """A claim that is wrong makes the token worthless, however well it is signed."""
    signed = jwt.api_jws.encode(json.dumps(claims).encode(), SECRET, "HS256")
    refused(authenticator, signed)


def test_time(authenticator):
    """`exp` is exact; `nbf` grants an issuer's clock a few seconds."""
    token = hs256({"sub": "a", "exp": EXP, "nbf": NOW // 1000})
    assert authenticator.check(token, "r", EXP * 1000 - 1)
    assert "expired" in refused(authenticator, token, now=EXP * 1000)
    assert authenticator.check(token, "r", NOW - 5_000)
    assert "not valid yet" in refused(authenticator, token, now=NOW - 5_001)


def test_names_are_made_fit_for_display(authenticator):
    """Names lose line breaks, invisible characters and what turns text around, and are cut; one that is empty is the id."""
    for name, shown in [
        ("  A\n\u202eB\u200b ", "A B"),
        ("\u200f\ufeff", "a"),
        ("好" * 70, "好" * 64),
        ("", "a"),
        ("李雷 🎉", "李雷 🎉"),
    ]:
        assert authenticator.check(hs256({"sub": "a", "exp": EXP, "name": name}), "r", NOW).person.name == shown


def test_all_that_is_shown_of_a_person_is_fit_for_display(authenticator):
    """Badges and the avatar's address stand on others' screens too; what nothing is left of goes."""
    claims = {"sub": "a", "exp": EXP, "badges": ["\u202efan\n", "\u200b", "好"], "avatar": "https://x/\u202egnp.y\x00"}
    person = authenticator.check(hs256(claims), "r", NOW).person
    assert person.badges == ("fan", "好")
    assert person.avatar == "https://x/gnp.y"


def test_what_adorns_too_much_keeps_nobody_out(authenticator):
    """An avatar that is too long, more or longer badges than are shown, a level above the highest: the rest of the token holds."""
    badges = ["", "b" * 33, *(f"{n:032}" for n in range(20))]
    claims = {"sub": "a", "exp": EXP, "avatar": "https://x/" + "y" * 503, "badges": badges, "level": 2**53, "name": "Ada"}
    person = authenticator.check(hs256(claims), "r", NOW).person
    assert (person.name, person.avatar, person.level) == ("Ada", "", 1_000_000)
    assert person.badges == tuple(f"{n:032}" for n in range(10))
    longest = "https://x/" + "y" * 502
    assert authenticator.check(hs256({**claims, "avatar": longest}), "r", NOW).person.avatar == longest


def test_secrets_rotate(authenticator):
    """Several secrets are in force at once, whatever the header looks like; any other is not."""
    claims = {"sub": "a", "exp": EXP}
    for secret in (SECRET, OLD_SECRET):
        assert authenticator.check(hs256(claims, secret), "r", NOW)
        assert authenticator.check(hs256(claims, secret, kid="whatever"), "r", NOW)
    refused(authenticator, hs256(claims, "another-secret-that-was-never-in-force-here"))
    refused(authenticator, hs256(claims, "another-secret-that-was-never-in-force-here", kid="x"))


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA_KEY, "RS256", "rsa"), (EC_KEY, "ES256", "ec"), (ED_KEY, "EdDSA", "ed")])
def test_public_keys(authenticator, key, algorithm, kid):
    """The issuer's keys sign with the algorithm of their type, with and without a `kid`; not under another one's name."""
    claims = {"sub": "a", "exp": EXP}
    assert authenticator.check(jwt.encode(claims, key, algorithm, headers={"kid": kid}), "r", NOW).person.id == "a"
    assert authenticator.check(jwt.encode(claims, key, algorithm), "r", NOW).person.id == "a"
    strangers = {
        "rsa": rsa.generate_private_key(65537, 2048),
        "ec": ec.generate_private_key(ec.SECP256R1()),
        "ed": ed25519.Ed25519PrivateKey.generate(),
    }
    other: Any = strangers[kid]
    refused(authenticator, jwt.encode(claims, other, algorithm, headers={"kid": kid}))


def test_algorithms_that_keys_are_not_bound_to(authenticator):
    """RS384 or PS256 by a known RSA key, HS384 by a known secret, ES512: nothing but the four is looked at."""
    claims = {"sub": "a", "exp": EXP}
    for algorithm in ("RS384", "RS512", "PS256"):
        refused(authenticator, jwt.encode(claims, RSA_KEY, algorithm, headers={"kid": "rsa"}))
    refused(authenticator, jwt.encode(claims, SECRET + SECRET, "HS384"))
    refused(authenticator, jwt.encode(claims, ec.generate_private_key(ec.SECP521R1()), "ES512"))


def b64(data):
    """Base64url of bytes, or of a value as JSON."""
    return urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_unsigned(authenticator, alg):
    """`none`, in any spelling, with and without a signature part."""
    body = f"{b64({'alg': alg, 'typ': 'JWT'})}.{b64({'sub': 'a', 'exp': EXP})}"
    for token in (f"{body}.", body, f"{body}.{b64(b'x' * 32)}"):
        refused(authenticator, token)


def test_public_key_as_shared_secret(authenticator):
    """HS256 with the PEM or the JWK of a public key as its secret: the classic confusion."""
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, key_set(), json.dumps(json.loads(key_set())["keys"][0]).encode()):
        for header in ({"alg": "HS256", "typ": "JWT"}, {"alg": "HS256", "typ": "JWT", "kid": "rsa"}):
            signed = f"{b64(header)}.{b64({'sub': 'a', 'exp': EXP})}"
            refused(authenticator, f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}")


def test_symmetric_keys_in_a_key_set_are_nobodys(authenticator):
    """A key set is public: an `oct` key in it makes no token believable."""
    only_public = Authenticator([], authenticator._jwks)
    refused(only_public, hs256({"sub": "a", "exp": EXP}, kid="shared"))


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "ä.b.c",
        "\x00",
        "a" * 9000,
        f"{b64({'alg': 'HS256'})}.x",
        "💥.💥.💥",
        f"{b64([1])}.{b64({})}.x",
    ],
)
def test_nonsense(authenticator, token):
    """Whatever is no token is refused without a fuss."""
    refused(authenticator, token)


@pytest.mark.parametrize("length", [32, 63, 64, 65, 200])
def test_secrets_of_any_length(length):
    """Secrets up to, at and beyond the hash's block of 64 bytes sign as another library's do."""
    secret = "s" * length
    assert Authenticator([secret]).check(hs256({"sub": "a", "exp": EXP}, secret), "r", NOW).person.id == "a"
    assert jwt.decode(mint(secret, {"sub": "a", "exp": EXP}), secret, algorithms=["HS256"], options={"verify_exp": False})


def test_tampering(authenticator):
    """Not one character of a token may change, nor may the signature be spelled otherwise or be followed by anything."""
    token = hs256({"sub": "a", "exp": EXP})
    head, payload, signature = token.split(".")
    refused(authenticator, f"{head}.{b64({'sub': 'b', 'exp': EXP})}.{signature}")
    for bad in (signature[:-1], signature + "=", signature + "A", signature.replace(signature[5], "*"), ""):
        refused(authenticator, f"{head}.{payload}.{bad}")
    refused(authenticator, f"{head}.{payload}.{signature}.x")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = alphabet[alphabet.index(signature[-1]) ^ 1]  # the same bytes: two bits of the last character mean nothing
    refused(authenticator, f"{head}.{payload}.{signature[:-1]}{twin}")


def test_critical_extensions(authenticator):
    """A token that demands an extension we do not know is refused (RFC 7515 section 4.1.11)."""
    signed = f"{b64({'alg': 'HS256', 'crit': ['b64'], 'b64': False})}.{b64({'sub': 'a', 'exp': EXP})}"
    refused(authenticator, f"{signed}.{b64(hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest())}")


def test_mint(authenticator):
    """What we mint we believe, and so does another library; what we would refuse we do not mint."""
    token = mint(SECRET, {"sub": "ada", "exp": EXP, "name": "Ada", "rooms": ["r"]})
    assert authenticator.check(token, "r", NOW).person.name == "Ada"
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], options={"verify_exp": False})
    assert claims["sub"] == "ada"
    with pytest.raises(AuthError):
        mint(SECRET, {"sub": "ada", "exp": EXP, "role": "host"})


class Issuer:
    """A server that publishes a key set, or breaks."""

    url = ""

    def __init__(self) -> None:
        self.document = key_set()
        self.status = 200
        self.asked = 0

    async def answer(self, _request):
        self.asked += 1
        await asyncio.sleep(0)
        return web.Response(body=self.document, status=self.status, content_type="application/json")


@pytest.fixture
async def issuer():
    """A running issuer, with `url`."""
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/jwks.json", issuer.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    yield issuer
    await runner.cleanup()


class Time:
    """A clock in the test's hand."""

    now = NOW

    def __call__(self) -> int:
        return self.now


async def test_key_set_is_fetched_once_for_many(issuer):
    """The first tokens wait for one fetch together; later ones find the keys at hand."""
    authenticator = Authenticator([], Jwks(issuer.url, Time(), Heard()))
    token = jwt.encode({"sub": "a", "exp": EXP}, EC_KEY, "ES256", headers={"kid": "ec"})
    with pytest.raises(KeysStale):
        authenticator.check(token, "r", NOW)
    found = await asyncio.gather(*(authenticator.authenticate(token, "r", NOW) for _ in range(20)))
    assert {identity.person.id for identity in found} == {"a"}
    assert authenticator.check(token, "r", NOW)
    assert issuer.asked == 1


def published(**keys: ec.EllipticCurvePrivateKey) -> bytes:
    """A key set with these."""
    entries = [{**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": kid} for kid, key in keys.items()]
    return json.dumps({"keys": entries}).encode()


async def test_rotation(issuer):
    """A token of a key not seen before makes us look again at once, and old keys go when the issuer drops them.

    A flood of unknown keys asks the issuer a few times, then once in a while.
    """
    clock = Time()
    authenticator = Authenticator([], Jwks(issuer.url, clock, Heard()))
    old = jwt.encode({"sub": "a", "exp": EXP + 10**6}, EC_KEY, "ES256", headers={"kid": "ec"})
    await authenticator.authenticate(old, "r", NOW)
    for kid in ("new", "newer"):
        key = ec.generate_private_key(ec.SECP256R1())
        issuer.document = published(**{kid: key})
        token = jwt.encode({"sub": kid, "exp": EXP + 10**6}, key, "ES256", headers={"kid": kid})
        assert (await authenticator.authenticate(token, "r", NOW)).person.id == kid
    with pytest.raises(AuthError):
        await authenticator.authenticate(old, "r", NOW)
    strangers = [jwt.encode({"sub": "x", "exp": EXP + 10**6}, EC_KEY, "ES256", headers={"kid": f"s{n}"}) for n in range(20)]
    for stranger in strangers:
        with pytest.raises(AuthError) as fault:
            await authenticator.authenticate(stranger, "r", NOW)
        assert fault.value.code == "unauthorized"
    assert issuer.asked == RETRIES_AT_ONCE
    clock.now += RETRY_MS
    for stranger in strangers:
        with pytest.raises(AuthError):
            await authenticator.authenticate(stranger, "r", NOW)
    assert issuer.asked == RETRIES_AT_ONCE + 1


async def test_who_cannot_be_judged(issuer):
    """While the issuer is silent, a token of a key not seen before is neither believed nor wrong; who comes meanwhile waits."""
    clock = Time()
    authenticator = Authenticator([SECRET], Jwks(issuer.url, clock, Heard()))
    issuer.status = 500
    token = jwt.encode({"sub": "a", "exp": EXP + 10**6}, EC_KEY, "ES256", headers={"kid": "ec"})
    for _ in range(RETRIES_AT_ONCE + 3):
        with pytest.raises(AuthError) as fault:
            await authenticator.authenticate(token, "r", NOW)
        assert fault.value.code == "unavailable"
    assert issuer.asked == RETRIES_AT_ONCE
    refused(authenticator, hs256({"sub": "a", "exp": EXP}, "nobody's-secret-of-forty-characters-or-so"))
    issuer.status = 200
    clock.now += RETRY_MS
    found = await asyncio.gather(*(authenticator.authenticate(token, "r", NOW) for _ in range(5)))
    assert {identity.person.id for identity in found} == {"a"}


async def test_refresh_in_the_background(issuer):
    """An aged key set still answers at once, and is fetched anew meanwhile."""
    clock = Time()
    authenticator = Authenticator([], Jwks(issuer.url, clock, Heard()))
    token = jwt.encode({"sub": "a", "exp": EXP + 10**6}, EC_KEY, "ES256", headers={"kid": "ec"})
    await authenticator.authenticate(token, "r", NOW)
    clock.now += REFRESH_MS
    assert authenticator.check(token, "r", NOW)
    await until(lambda: issuer.asked == 2, "second fetch")


@pytest.mark.parametrize(("status", "document"), [(500, b""), (200, b"<html>"), (200, b'{"keys": 7}'), (200, b"x" * 1_100_000)])
async def test_issuer_breaks(issuer, status, document):
    """While the issuer is down or talks nonsense its last keys hold, for a day and no longer; the operator is told."""
    clock, heard = Time(), Heard()
    jwks = Jwks(issuer.url, clock, heard)
    authenticator = Authenticator([], jwks)
    token = jwt.encode({"sub": "a", "exp": EXP + 10**6}, EC_KEY, "ES256", headers={"kid": "ec"})
    await authenticator.authenticate(token, "r", NOW)
    issuer.status, issuer.document = status, document
    clock.now += RETRY_MS
    await jwks.refresh()
    assert authenticator.check(token, "r", NOW)
    assert [fact for fact in heard.facts if isinstance(fact, Trouble)]
    assert [fact.ok for fact in heard.facts if isinstance(fact, KeysFetched)] == [True, False]
    clock.now += STALE_MS
    with pytest.raises(AuthError):
        await authenticator.authenticate(token, "r", NOW)


def test_odd_keys_are_left_out():
    """Keys for encryption, of other algorithms, too short or broken are not used; the others of the set are."""
    odd = [
        {**json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": "rsa", "use": "enc"},
        {**json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": "rsa", "alg": "RS512"},
        {**json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key())), "kid": "rsa"},
        {**json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key())), "kid": "ec"},
        {"kty": "EC", "crv": "P-256", "x": "?", "y": 1, "kid": "ec"},
        {"kty": ["RSA"], "kid": "rsa"},
        {},
    ]
    jwks = Jwks("http://issuer.example/", lambda: NOW, Heard())
    jwks.load(json.dumps({"keys": [*odd, json.loads(key_set())["keys"][2]]}).encode())
    assert [key.algorithm for key in jwks._keys] == ["EdDSA"]


def test_speed():
    """A usual token is believed in microseconds; this only catches the loss of the short way (PyJWT takes 40)."""
    authenticator = Authenticator([SECRET])
    token = hs256({"sub": "a", "exp": EXP, "name": "A"})
    began = time.process_time()
    for _ in range(2000):
        authenticator.check(token, "r", NOW)
    assert (time.process_time() - began) / 2000 < 30e-6
