"""Where viewers and callers come in: the front door, sockets, event streams, frame files and the control plane."""
