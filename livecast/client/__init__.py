"""The asynchronous Python client: connects, resumes by itself and keeps a view of the room. Stands alone."""
