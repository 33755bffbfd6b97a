"""The ports made real: in memory (for tests, and product code all the same) and on Redis or Valkey."""
