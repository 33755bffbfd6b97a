"""Messages as bytes and back, without I/O: codecs, the WebSocket framing, and frames sealed once for everybody."""
