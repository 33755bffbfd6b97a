"""Which process does what: shards and their nodes, who lives, which versions may work together."""
