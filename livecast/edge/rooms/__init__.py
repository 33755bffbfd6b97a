"""The rooms that this node shows: followed, and handed to everybody who watches."""
