"""Attacks a database with every write at once and with faults, and checks the history; `livingworld stress` runs it."""
