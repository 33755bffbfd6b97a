"""Coming to a node as somebody: the options that `tail`, `crowd` and `replay` share, and tokens for the people they play."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any, Final, Self

import aiohttp
import click
import msgspec

from livecast.core.rules import UserId
from livecast.edge.access.tokens import mint
from livecast.ops.commands.tokens import signing_secret
from livecast.ops.configuration.groups import DEFAULT_PORT, DEV_SECRET

TOKEN_TTL_S: Final = 6 * 3600  # longer than any broadcast that is simulated
#: `POST /v1/tokens` under way at once: enough to keep up with a busy room, few enough to stay polite.
MINTING_MAX: Final = 16

_OPTIONS = (
    click.option(
        "--url",
        default=f"http://127.0.0.1:{DEFAULT_PORT}",
        show_default=True,
        envvar="LIVECAST_URL",
        metavar="URL",
        callback=lambda _context, _option, url: url if "://" in url else f"http://{url}",
        help="The node.",
    ),
)
_SPEAKER_OPTIONS = (
    *_OPTIONS,
    click.option(
        "--token-secret",
        envvar="LIVECAST_TOKEN_SECRET",
        metavar="S",
        help="Sign tokens with this secret. Better in the environment (LIVECAST_TOKEN_SECRET). Without it and without --api-key: "
        "the secret of the configuration in the environment, or the development secret.",
    ),
    click.option(
        "--api-key",
        envvar="LIVECAST_API_KEY",
        metavar="KEY",
        help="Let the node mint the tokens with this key (scope tokens:viewer). Better in the environment (LIVECAST_API_KEY).",
    ),
)


def reader_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--url`, for commands that only look."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def speaker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--url`, `--token-secret`, `--api-key`, for commands that play people. They go into `Tokens`."""
    for option in reversed(_SPEAKER_OPTIONS):
        command = option(command)
    return command


class Tokens:
    """Tokens for anybody: signed here with a secret, or minted by the node for a key's owner."""

    def __init__(self, url: str, room: str, *, token_secret: str | None = None, api_key: str | None = None) -> None:
        self._room = room
        self._url = f"{url.rstrip('/')}/v1/tokens"
        self._key = api_key
        self._secret = "" if api_key else token_secret or signing_secret(None)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        if self._key:
            connector = aiohttp.TCPConnector(limit=MINTING_MAX)
            self._session = aiohttp.ClientSession(connector=connector, headers={"Authorization": f"Bearer {self._key}"})
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def development(self) -> bool:
        """Signed with the secret that everybody knows."""
        return self._secret == DEV_SECRET

    async def of(self, user: str, name: str = "", **claims: Any) -> str:
        """A token for the room; a viewer's, unless `role` says otherwise. Raises `click.ClickException` if it is not minted."""
        if self._session is None:
            expires_s = int(time.time()) + TOKEN_TTL_S
            return mint(self._secret, {"sub": user, "name": name or user, "exp": expires_s, "rooms": [self._room], **claims})
        body = {"sub": user, "name": name or user, "rooms": [self._room], "ttl_s": TOKEN_TTL_S, **claims}
        async with self._session.post(self._url, json=body) as response:
            answer = await response.json(content_type=None)
            if response.status not in (200, 201):
                detail = answer.get("detail", "") if isinstance(answer, dict) else ""
                raise click.ClickException(f"the node mints no token: HTTP {response.status} {detail}")
            return str(answer["token"])


def user_id(name: str) -> str:
    """`name` if it can be a user id, else an id that is always the same for it."""
    try:
        return msgspec.convert(name, UserId)
    except msgspec.ValidationError:
        return "x" + hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=10).hexdigest()
