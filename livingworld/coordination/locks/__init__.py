"""Locks and leases for what the application guards itself; docs/locking.md says which to use when."""
