"""One file a step, each named after its revision."""
