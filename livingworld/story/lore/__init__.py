"""Lore: the knowledge of a world, in books of entries that are matched by their keys in a text."""
