"""Erasing what one person wrote in a world."""
