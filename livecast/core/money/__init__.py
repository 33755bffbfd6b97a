"""What has value: coins, gifts, drops and their units, draws, codes, receipts."""
