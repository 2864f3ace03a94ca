"""Who holds which lock and who waits for it: in the whole database at one moment, and in this process over time."""
