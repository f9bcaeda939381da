"""What the accelerator costs: the chip's budget, and estimates of every node."""
