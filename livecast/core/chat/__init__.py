"""A comment's way through a room: judged, merged, chosen for the screen, or put aside."""
