"""Memories: what a story and its characters remember, on the paths that contain the scene where it was remembered."""
