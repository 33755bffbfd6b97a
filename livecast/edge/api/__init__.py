"""The control plane over HTTP, a module per subject."""
