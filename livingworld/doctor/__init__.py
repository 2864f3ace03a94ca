"""Look for damage in a database, say what it means for stories, and repair what is safe to repair."""

from livingworld.doctor.doctor import Doctor
from livingworld.doctor.records import Finding, Repaired

__all__ = ["Doctor", "Finding", "Repaired"]
