"""Between what is needed and what is asked for: limits, hand edits, GPUs."""
