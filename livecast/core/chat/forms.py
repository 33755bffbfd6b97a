"""What a message carries besides its text, checked: style, meta, data. Raises `InvalidChange` with the field at fault."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import Json
from livecast.core.rules import Styles
from livecast.core.tools.patch import check_plain

META_BYTES_MAX: Final = 512
"""As JSON. It is passed on to every viewer of the room with the comment."""
COLOR_MAX: Final = 0xFFFFFF
_SCRIPT: Final = re.compile(r"(?:javascript|vbscript|data|blob|file|view-source):", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Browsers leave these out of an address before they look at its scheme.
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f-\xa0]+")


def style_of(style: dict[str, Json] | None, allowed: Styles) -> dict[str, Json] | None:
    """The known parts of a style, if the room allows them: `color` 0 to 0xFFFFFF, `mode`."""
    if style is None:
        return None
    out: dict[str, Json] = {}
    if (color := style.get("color")) is not None:
        if not allowed.color or type(color) is not int or not 0 <= color <= COLOR_MAX:
            raise InvalidChange(Refusal("invalid", "This color is not possible here.", field="style"))
        out["color"] = color
    if (mode := style.get("mode")) is not None:
        if mode not in allowed.modes:
            raise InvalidChange(Refusal("invalid", "This way of moving is not possible here.", field="style"))
        out["mode"] = mode
    return out or None


def check_size(value: Json, field: str, bytes_max: int) -> None:
    """Raise unless `value` is plain JSON of at most `bytes_max` bytes."""
    check_plain(value, field)
    if len(msgspec.json.encode(value)) > bytes_max:
        raise InvalidChange(Refusal("too_large", f"At most {bytes_max} bytes of JSON.", field=field))


def check_link(link: str | None, field: str) -> None:
    """Raise if opening this address would run what it says, or if it has in it what no address has. Apps have schemes of their
    own, so others pass.
    """
    if link and (_CONTROL.search(link) is not None or _SCRIPT.match(_UNSEEN.sub("", link)) is not None):
        raise InvalidChange(Refusal("invalid", "This is no address to go to.", field=field))


def check_meta(meta: dict[str, Json] | None) -> None:
    """Raise unless a comment may carry this."""
    if meta is not None:
        check_size(meta, "meta", META_BYTES_MAX)
