"""How parallel each node is: legal values, FINN's folding JSON, and folding for a frame rate."""
