"""What is kept of a broadcast for later."""
