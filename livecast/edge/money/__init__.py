"""Everything that has value, between a viewer and the ledger."""
