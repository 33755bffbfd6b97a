"""The ledger's entries read again: what they add up to, and whether the books hold it."""
