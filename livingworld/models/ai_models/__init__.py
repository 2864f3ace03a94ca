"""AI models: a registry with one active version for each role, swapped while others use it, and what they answered."""
