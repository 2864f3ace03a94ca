"""Actions: queued commands with priority and deadline, one at a time in each lane."""
