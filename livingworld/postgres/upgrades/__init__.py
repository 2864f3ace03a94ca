"""Changes of a filled database under load: what the steps of a revision are, and how they are performed."""
