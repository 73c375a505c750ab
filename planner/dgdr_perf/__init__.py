"""Performance of one engine: measured curves, queueing and sizing. Pure; numpy and scipy only."""
