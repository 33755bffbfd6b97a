"""The ports in this process's memory."""
