"""Simulated people: who comes, what they say, what they buy."""
