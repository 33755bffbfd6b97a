"""The domain, pure: a room is a value that is fed events and asked for frames. No clock, chance, loop, log, store or socket."""
