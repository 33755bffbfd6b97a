"""How a connection begins: accepted, let in or turned away, and led into its room."""
