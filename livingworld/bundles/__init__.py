"""Bundles: one world or one story as a file of JSON Lines, which is verified without a database and restored whole."""
