"""Scripts that run inside a locked-down container and call another harness's own function there. Never import them."""
