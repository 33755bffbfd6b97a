"""The word filter: what a text says once it is undressed, and what is listed of it."""
