"""livecast: the interaction service of live commerce.

Viewers of a broadcast send bullet comments and likes; rooms merge and rate-limit them and tell every viewer a few times a
second, in one small frame, what happened, what was merged and what was left out.

Read it in this order: `core` (a room as a pure value), `wire` (messages as bytes), `ports` (what rooms need from outside),
`shard` (where a room meets time), `adapters` (memory and Redis), `edge` (sockets and HTTP), `ops` (settings, command line),
`client` (the Python client, on its own).
"""

__version__ = "0.1.0"
