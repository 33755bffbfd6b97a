"""Where rooms meet time: which process owns which rooms, and the loop that feeds, flushes, commits and publishes each of them."""
