"""The dataflow graph as streams of words, cycle by cycle: rates, latency, deadlocks, and how deep its FIFOs must be."""
