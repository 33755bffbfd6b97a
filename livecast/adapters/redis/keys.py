"""Names of keys and channels. All of one shard carry its hash tag, so that a cluster keeps them on one server.

{s17}:owner            string    the fence token of the shard's owner
{s17}:room:<room>      hash      last commit: token, epoch, number, seq; where its snapshot stands; counters; its format
{s17}:snapshot:<room>  string    the snapshot, MessagePack
{s17}:log:<room>       stream    commits of the epoch that say something, id <number>-0: s seq, f frame, p private
{s17}:said:<room>      stream    remembered answers, id <Unix ms>-<n>: b body, c bytes before it
{s17}:users:<room>:<broadcast>   HyperLogLog of the broadcast's users, dropped some days after the last new one
{s17}:rooms            zset      room ids, all with score 0: ordered by name
{s17}:summaries        hash      room id -> summary, JSON
{s17}:records          stream    commits that the archive has not read: n number, c bytes before it, r room, b broadcast, e epoch,
                                 k commit's number, q seq, t at, f frame, s snapshot (of an epoch's first), y summary, o notes
{s17}:recorded         hash      n, bytes: of all records ever made; gone: bytes before the oldest that is kept
{s17}:out:<room>       channel   `Published`, MessagePack
{s17}:in               channel   events for the shard's owner
{node:<id>}            channel   replies for a node
{s17}:acts:<room>      stream    what staff did in it: a an array of `StaffAct`, MessagePack; the last 2,000 or so commits
{notices}              channel   notices for all nodes
{house}:filters        hash      scope -> word lists, MessagePack
{house}:sanctions      hash      "<mute|ban> <scope> <user>" -> [at, until, by, reason], MessagePack; and
                                 "forgotten platform <digest of a user>", whose reason is their pseudonym
{house}:secrets        hash      name -> what processes share and nobody else knows: `aliases`, the key of users' aliases
{house}:revision       string    how often either was changed
{house}:acts           stream    what staff did beyond single rooms: a `StaffAct`, MessagePack
{nodes}:beats          hash      node -> its last sign of life: a `Beat`, MessagePack
{nodes}:format         hash      `rooms` or `ledger`, in the store of each -> what is written there: a `formats.Mark`, JSON
idempotency:<key>      hash      d digest, a answer (absent while in flight)
ledger:positions       hash      shard -> where the ledger's was seen to stand (`positions.py`)
revoked-keys           set       ids of API keys that were taken back (`revoked.py`)
"""

from __future__ import annotations

from livecast.core.nodes.placement import shard_of

NOTICES = "{notices}"
BEATS = "{nodes}:beats"
FORMAT = "{nodes}:format"
HOUSE_FILTERS = "{house}:filters"
HOUSE_SANCTIONS = "{house}:sanctions"
HOUSE_SECRETS = "{house}:secrets"
HOUSE_REVISION = "{house}:revision"
HOUSE_ACTS = "{house}:acts"


def owner(shard: int) -> str:
    """Where the shard's fence token is."""
    return f"{{s{shard}}}:owner"


def of_room(kind: str, room: str) -> str:
    """A key of one room; `kind` as in the table above."""
    return f"{{s{shard_of(room)}}}:{kind}:{room}"


def of_shard(kind: str, shard: int) -> str:
    """A key of a shard."""
    return f"{{s{shard}}}:{kind}"


def node(node_id: str) -> str:
    """The channel of a node."""
    return f"{{node:{node_id}}}"


def idempotency(key: str) -> str:
    """Where the first answer to an `Idempotency-Key` is."""
    return f"idempotency:{key}"
