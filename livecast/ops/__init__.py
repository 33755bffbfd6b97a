"""Running it: settings, the embedded stores, observers, and the command line. `main` puts everything together."""
