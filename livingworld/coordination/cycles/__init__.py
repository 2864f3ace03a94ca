"""Cycles: recurring jobs of a world of which one instance runs at a time, in named phases."""
