"""``kubectl dgdr``: where a request stands, what was measured, and what its planner does."""
