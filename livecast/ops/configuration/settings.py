"""What a deployment can set: a few frozen groups by reader, checked by themselves and against each other.

`load` reads the layers (`livecast.ops.configuration.layers`), reports *all* problems at once, and returns `Settings`.
Every key of every section is a field of a group in `livecast.ops.configuration.groups`, or of the rules that a part of the service
defines for itself.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from standardwebhooks import Webhook

from livecast.adapters.redis.address import Address, BadAddressError, parse
from livecast.core.rules import Policy, RoomRules
from livecast.core.webhooks.deliveries import WebhookRules
from livecast.edge.access.keys import SCOPES, ApiKey
from livecast.edge.money.receipts import BadReceiptKey, Receipts
from livecast.edge.rules import EdgeRules
from livecast.ops.configuration.groups import (
    DEV_KEY,
    DEV_SECRET,
    SECRET_BYTES_MIN,
    Archive,
    Auth,
    Gifts,
    Ledger,
    Log,
    Redis,
    Server,
)
from livecast.ops.configuration.layers import (
    Given,
    KeyPath,
    Layer,
    Problem,
    SettingsError,
    decoded,
    from_environment,
    from_toml,
    nearest,
)
from livecast.shard.ownership import NodeRules
from livecast.shard.reviewer import ReviewRules

Group = TypeVar("Group", bound=Struct)


class Settings(Struct, frozen=True):
    """Everything in force, and where each value that is not a default came from."""

    dev: bool
    server: Server
    edge: EdgeRules
    node: NodeRules
    auth: Auth
    redis: Redis
    ledger: Ledger
    room: RoomRules
    gifts: Gifts
    webhooks: WebhookRules
    review: ReviewRules
    archive: Archive
    log: Log
    origins: dict[KeyPath, str]
    advice: tuple[str, ...] = ()
    """Legal, and probably not meant."""

    def value(self, section: str, key: str) -> Any:
        """What is in force for a key of a section."""
        groups = {type(each): each for each in (self.edge, self.room.policy, getattr(self, section))}
        owner = next(group for group in SECTIONS[section] if key in group.__struct_fields__)
        return getattr(groups[owner], key)


#: Section -> the groups its keys belong to, in the order in which they are listed.
SECTIONS: Final[dict[str, tuple[type[Struct], ...]]] = {
    "server": (Server, EdgeRules),
    "node": (NodeRules,),
    "auth": (Auth,),
    "redis": (Redis,),
    "ledger": (Ledger,),
    "room": (Policy, RoomRules),
    "gifts": (Gifts,),
    "webhooks": (WebhookRules,),
    "review": (ReviewRules,),
    "archive": (Archive,),
    "log": (Log,),
}

_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?")
#: `[room]` has the fields of the policy itself; development is an option of the command line, never a line in a file.
NOT_KEYS: Final[frozenset[tuple[type[Struct], str]]] = frozenset({(RoomRules, "policy"), (EdgeRules, "dev")})


def keys_of(section: str) -> dict[str, msgspec.structs.FieldInfo]:
    """Key -> field of all groups of a section."""
    return {
        each.name: each
        for group in SECTIONS[section]
        for each in msgspec.structs.fields(group)
        if (group, each.name) not in NOT_KEYS
    }


KNOWN: Final = {section: frozenset(keys_of(section)) for section in SECTIONS}


def load(
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[KeyPath, Given] | None = None,
    dev: bool = False,
) -> Settings:
    """Put the layers together. Raises `SettingsError` with everything that is wrong."""
    layers: list[Layer] = []
    problems: list[Problem] = []
    in_file: tuple[Layer, list[Problem]] = from_toml(file, KNOWN) if file else ({}, [])
    for found, wrong in (in_file, from_environment(environment or {}, KNOWN), (dict(options or {}), [])):
        layers.append(found)
        problems += wrong
    layer, hidden = put_together(*layers)
    problems += hidden
    values = _converted(layer, problems)
    settings = Settings(
        dev=dev,
        server=_group(Server, values, "server"),
        edge=_group(EdgeRules, values, "server"),
        node=_group(NodeRules, values, "node"),
        auth=_group(Auth, values, "auth"),
        redis=_group(Redis, values, "redis"),
        ledger=_group(Ledger, values, "ledger"),
        room=_group(RoomRules, values, "room", policy=_group(Policy, values, "room")),
        gifts=_group(Gifts, values, "gifts"),
        webhooks=_group(WebhookRules, values, "webhooks"),
        review=_group(ReviewRules, values, "review"),
        archive=_group(Archive, values, "archive"),
        log=_group(Log, values, "log"),
        origins={path: given.origin for path, given in layer.items()},
    )
    problems += _cross_checks(settings)
    if problems:
        raise SettingsError(problems)
    return _development(settings) if dev else msgspec.structs.replace(settings, advice=_advice(settings))


def put_together(*layers: Layer) -> tuple[Layer, list[Problem]]:
    """Layers as one, the later ones in front; and what is wrong with values that are not in force for that reason alone: who
    leaves an option out one day shall not find out then.
    """
    whole: Layer = {}
    problems: list[Problem] = []
    for layer in layers:
        _converted({path: whole[path] for path in layer if path in whole}, problems)
        whole |= layer
    return whole, problems


# --- Values -----------------------------------------------------------------------------------------------------------
def _converted(layer: Layer, problems: list[Problem]) -> dict[KeyPath, Any]:
    values: dict[KeyPath, Any] = {}
    for path, given in layer.items():
        kind = keys_of(path[0])[path[1]].type
        try:
            word = given.text and given.value in _choices(kind)  # such as `auto` where else a number stands
            value = decoded(given, plain=word or _accepts(kind, "text"), listing=_accepts(kind, ["text"]))
            values[path] = msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            problems.append(Problem(given.origin, _explained(str(error), kind)))
        except ValueError as error:
            problems.append(Problem(given.origin, str(error)))
    return values


def _accepts(kind: Any, example: object) -> bool:
    """Whether a plain string (or a list of them) is what this type wants, bounds and choices aside."""
    inner = msgspec.inspect.type_info(kind)
    if isinstance(example, list):
        return isinstance(inner, msgspec.inspect.VarTupleType) and isinstance(inner.item_type, msgspec.inspect.StrType)
    if isinstance(inner, msgspec.inspect.LiteralType):
        return all(isinstance(value, str) for value in inner.values)
    return isinstance(inner, msgspec.inspect.StrType)


def _explained(message: str, kind: Any) -> str:
    """What is wrong in words, with the nearest right name for a wrong one. Values are not repeated: they may be secret."""
    path = re.search(r" - at `\$(.*)`$", message)
    said = message.removesuffix(path[0]) if path else message
    where = f"{path[1].lstrip('.')}: " if path and path[1] else ""
    unknown = re.search(r"unknown field `(.+)`$", said)
    wrong_choice = re.search(r"Invalid enum value '(.+)'$", said)
    if unknown:
        return f"{where}there is no such key as `{unknown[1]}`{nearest(unknown[1], _names(kind))}"
    if wrong_choice:
        choices = [str(choice) for choice in _choices(kind)]
        return f"{where}`{wrong_choice[1]}` is none of {', '.join(choices)}{nearest(wrong_choice[1], choices)}"
    return where + said[0].lower() + said[1:].replace("`", "")


def _names(kind: Any) -> list[str]:
    """Field names of the structs inside a type."""
    return [
        each.encode_name
        for node in _walk(msgspec.inspect.type_info(kind))
        if isinstance(node, msgspec.inspect.StructType)
        for each in node.fields
    ]


def _choices(kind: Any) -> list[Any]:
    """Values of the literals inside a type."""
    nodes = _walk(msgspec.inspect.type_info(kind))
    return [value for node in nodes if isinstance(node, msgspec.inspect.LiteralType) for value in node.values]


def _walk(node: msgspec.inspect.Type) -> list[msgspec.inspect.Type]:
    inside: list[msgspec.inspect.Type] = []
    match node:
        case msgspec.inspect.VarTupleType(item_type=item):
            inside = [item]
        case msgspec.inspect.UnionType(types=types):
            inside = list(types)
        case msgspec.inspect.StructType(fields=fields):
            inside = [each.type for each in fields]
        case _:
            pass
    return [node, *(found for each in inside for found in _walk(each))]


def _group(group: type[Group], values: Mapping[KeyPath, Any], section: str, **more: Any) -> Group:
    names = group.__struct_fields__
    return group(**{key: value for (where, key), value in values.items() if where == section and key in names}, **more)


# --- What must fit together -------------------------------------------------------------------------------------------
def _cross_checks(settings: Settings) -> list[Problem]:
    return [
        Problem(settings.origins.get(path, f"[{path[0]}] {path[1]}"), what)
        for wrong in (_wrong_auth, _wrong_edge, _wrong_stores, _wrong_review, _wrong_rules)
        for path, what in wrong(settings)
    ]


def _wrong_auth(settings: Settings) -> list[tuple[KeyPath, str]]:
    auth = settings.auth
    wrong: list[tuple[KeyPath, str]] = []
    secrets = ("auth", "jwt_secrets")
    if not settings.dev:
        if DEV_SECRET in auth.jwt_secrets:
            wrong.append((secrets, "the development secret is public: it is only accepted with --dev"))
        short = [number for number, secret in enumerate(auth.jwt_secrets, 1) if len(secret.encode()) < SECRET_BYTES_MIN]
        wrong += [
            (secrets, f"secret {number} is shorter than {SECRET_BYTES_MIN} bytes (make one with: openssl rand -base64 48)")
            for number in short
        ]
        wrong += [
            (("auth", "api_keys"), f"{DEV_KEY} is public: it is only accepted with --dev")
            for key in auth.api_keys
            if key.hash == hashlib.sha256(DEV_KEY.encode()).hexdigest()
        ]
    ids = [key.id for key in auth.api_keys]
    wrong += [(("auth", "api_keys"), f"the id `{each}` is used twice") for each in sorted({i for i in ids if ids.count(i) > 1})]
    if auth.jwks_url:
        url = urlsplit(auth.jwks_url)
        local = url.hostname in {"localhost", "127.0.0.1", "::1"}
        if url.scheme != "https" and not (url.scheme == "http" and (local or settings.dev)):
            wrong.append((("auth", "jwks_url"), "must be an https:// address: whoever can change these keys can be anyone"))
    return wrong


def _wrong_review(settings: Settings) -> list[tuple[KeyPath, str]]:
    review = settings.review
    wrong: list[tuple[KeyPath, str]] = []
    if not review.url:
        return wrong
    if urlsplit(review.url).scheme not in {"http", "https"} or not urlsplit(review.url).hostname:
        wrong.append((("review", "url"), "must be an http:// or https:// address"))
    if not review.secret:
        wrong.append((("review", "secret"), "is missing: questions are signed with it (echo whsec_$(openssl rand -base64 32))"))
        return wrong
    try:
        Webhook(review.secret)
    except Exception:  # noqa: BLE001 - what the library says of a wrong one depends on its version
        wrong.append((("review", "secret"), "must be whsec_ and 24 to 64 random bytes in base64"))
    else:
        if len(review.secret.removeprefix("whsec_")) < 32:
            wrong.append((("review", "secret"), "is shorter than 24 bytes (make one with: echo whsec_$(openssl rand -base64 32))"))
    return wrong


def _wrong_stores(settings: Settings) -> list[tuple[KeyPath, str]]:
    wrong: list[tuple[KeyPath, str]] = []
    addresses: dict[str, Address] = {}
    for section, url in (("redis", settings.redis.url), ("ledger", settings.ledger.url)):
        try:
            addresses |= {section: parse(url)} if url else {}
        except BadAddressError as error:
            wrong.append(((section, "url"), str(error)))
    archive = settings.archive.url
    if archive not in {"", "none"} and urlsplit(archive).scheme not in {"postgresql", "sqlite"}:
        wrong.append((("archive", "url"), "must begin with postgresql:// or sqlite:///, or be none"))
    if settings.ledger.durability == "none" and not settings.dev:
        wrong.append((("ledger", "durability"), "`none` may lose money: it is only accepted with --dev"))
    if len(addresses) == 2 and not settings.dev and addresses["redis"].same_place(addresses["ledger"]):
        wrong.append((("ledger", "url"), "must be a server of its own, not that of [redis] url"))
    if settings.ledger.receipt_key:
        try:
            Receipts(settings.ledger.receipt_key)
        except BadReceiptKey as error:
            wrong.append((("ledger", "receipt_key"), str(error)))
    return wrong


def _wrong_edge(settings: Settings) -> list[tuple[KeyPath, str]]:
    edge = settings.edge
    wrong: list[tuple[KeyPath, str]] = []
    if edge.outbox_max_bytes <= edge.outbox_soft_bytes:
        wrong.append((("server", "outbox_max_bytes"), f"must be above outbox_soft_bytes ({edge.outbox_soft_bytes})"))
    wrong += [
        (("server", "origins"), f"{origin!r} is no origin: write https://shop.example, without a path, or *")
        for origin in edge.origins
        if origin != "*" and not _ORIGIN.fullmatch(origin)
    ]
    wrong += [
        (("server", "media"), f"{origin!r} is no origin: write https://cdn.example, without a path")
        for origin in edge.media
        if not _ORIGIN.fullmatch(origin)
    ]
    for network in edge.trusted_proxies:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            wrong.append((("server", "trusted_proxies"), f"{error}; write 10.0.0.7 or 10.0.0.0/8"))
    return wrong


def _wrong_rules(settings: Settings) -> list[tuple[KeyPath, str]]:
    room = settings.room
    wrong: list[tuple[KeyPath, str]] = []
    if room.tick_max_ms < room.policy.tick_ms:
        wrong.append((("room", "tick_max_ms"), f"is below tick_ms ({room.policy.tick_ms}): a stretched tick cannot be shorter"))
    if room.merge_life_ms < room.merge_idle_ms:
        wrong.append((("room", "merge_life_ms"), f"is below merge_idle_ms ({room.merge_idle_ms}), which would never be reached"))
    if room.snapshot_frames > room.log_frames_max:
        wrong.append(
            (("room", "snapshot_frames"), f"is above log_frames_max ({room.log_frames_max}): a new owner would miss frames")
        )
    node = settings.node
    if node.dead_after_ms < 4 * node.heartbeat_ms:
        what = f"is below four heartbeats (heartbeat_ms is {node.heartbeat_ms}): one that comes late would be a death"
        wrong.append((("node", "dead_after_ms"), what))
    hooks = settings.webhooks
    if hooks.disable_after_h < hooks.keep_trying_h:
        what = f"is below keep_trying_h ({hooks.keep_trying_h}): a webhook would be disabled before its first dead letter"
        wrong.append((("webhooks", "disable_after_h"), what))
    ids = [gift.id for gift in settings.gifts.catalogue]
    wrong += [(("gifts", "catalogue"), f"the id `{each}` is used twice") for each in sorted({i for i in ids if ids.count(i) > 1})]
    return wrong


def _advice(settings: Settings) -> tuple[str, ...]:
    said: list[str] = []
    ledger = settings.ledger
    if ledger.url and parse(ledger.url).form != "server" and not ledger.replicas and ledger.durability == "always":
        said.append("A fail-over of the ledger can lose what was acknowledged: set [ledger] replicas = 1.")
    if not (settings.auth.jwt_secrets or settings.auth.jwks_url):
        said.append("Nobody can sign in: set [auth] jwt_secrets or jwks_url, or try --dev.")
    if not settings.auth.api_keys:
        said.append("Nobody can make rooms but hosts with a token: add an [auth] api_keys entry (livecast key new).")
    return tuple(said)


# --- Development ------------------------------------------------------------------------------------------------------
def _development(settings: Settings) -> Settings:
    """What `--dev` fixes: the known secret and key beside any configured ones, and a ledger that need not be durable."""
    key = ApiKey(id="dev", hash=hashlib.sha256(DEV_KEY.encode()).hexdigest(), scopes=SCOPES)
    auth = settings.auth
    secrets = (DEV_SECRET, *(secret for secret in auth.jwt_secrets if secret != DEV_SECRET))
    keys = (key, *(each for each in auth.api_keys if each.id != "dev"))
    limits = ("connections_per_address", "connections_per_user", "http_connections_per_address")
    unlimited = {key: 0 for key in limits if ("server", key) not in settings.origins}
    ledger, advice = settings.ledger, tuple[str, ...]()
    if ("ledger", "claims_per_address_per_s") not in settings.origins:
        ledger = msgspec.structs.replace(ledger, claims_per_address_per_s=0)
    if settings.redis.url and not ledger.url:
        ledger = msgspec.structs.replace(ledger, url=settings.redis.url, durability="none", replicas=0)
        advice = ("The ledger is the server of [redis] url, whatever its durability: do not count money on it.",)
    return msgspec.structs.replace(
        settings,
        edge=msgspec.structs.replace(settings.edge, dev=True, **unlimited),
        auth=msgspec.structs.replace(auth, jwt_secrets=secrets, api_keys=keys),
        ledger=ledger,
        advice=advice,
    )
