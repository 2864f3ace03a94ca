"""Locks and leases for what the application guards itself; docs/explanation/locking.md says which to use when."""
