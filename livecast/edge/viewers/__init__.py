"""One viewer's way in and out: sockets, event streams, frame files, messages over HTTP."""
