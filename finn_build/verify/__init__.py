"""Comparisons between stages: each gives rows for the report, and stops the build where a value is wrong."""
