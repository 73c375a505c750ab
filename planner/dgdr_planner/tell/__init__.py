"""A decision told: conditions, status, events, metrics, sentences."""
