"""What is localised: class activation maps in integer arithmetic, their hardware block, packets, boxes and metrics."""
