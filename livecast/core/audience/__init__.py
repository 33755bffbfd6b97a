"""Who watches, for how long, and what they did; and the names under which others see them."""
