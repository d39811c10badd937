"""Open models on this machine's own GPU: where they are, how they are held, phase by phase."""
