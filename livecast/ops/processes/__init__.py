"""The processes of a node: the supervisor, its workers, how they are told things and stopped."""
