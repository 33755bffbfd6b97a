"""How the archive's schema came to be, step by step. Shipped with the package; `livecast.adapters.archive.schema` runs it."""
