"""Plain HTTP: from a connection of anybody to a handler, and back as a document or a problem."""
