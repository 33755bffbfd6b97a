"""What the edge needs of webhooks: where they are kept, and who is told that there is something to do."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from livecast.core.webhooks.deliveries import WebhookRules
from livecast.webhooks import Webhooks


class WebhookDesk(Struct, frozen=True):
    """`kick`: something may be due. `inside`: receivers may be anywhere and need no TLS, for development."""

    store: Webhooks
    kick: Callable[[], None]
    rules: WebhookRules
    inside: bool = False
