"""Lore: what is known of a world, in books of entries that are found by the keys in a text."""
