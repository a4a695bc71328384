"""Who serves which open task now? Allocators of a single round, and policies that play whole episodes with them."""
