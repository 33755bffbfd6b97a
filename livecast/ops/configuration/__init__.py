"""What a deployment can set, where that comes from, and what a running node takes over."""
