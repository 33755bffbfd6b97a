"""What a broadcast shows besides comments: polls, products, drops, gifts, the board; and how it ends."""
