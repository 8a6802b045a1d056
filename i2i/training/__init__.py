"""Training: the loop, the players, checkpoints, and what a run says while it trains."""
