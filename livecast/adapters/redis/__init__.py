"""The ports on Redis or Valkey."""
