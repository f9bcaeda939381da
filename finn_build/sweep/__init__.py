"""`finn-cam sweep`: what channels and bits bring, and what they cost."""
