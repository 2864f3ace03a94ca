"""What happens in stories, sessions and the world, for its followers."""
