"""Relationships: what one character feels toward another in a story, and the ledger of what changed it."""
