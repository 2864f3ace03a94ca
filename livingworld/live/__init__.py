"""What happens in stories, sessions and the world, told to those who follow it."""
