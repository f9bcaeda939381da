"""`finn-cam bench`: speed of training and inference, side by side in one run, as ratios."""
