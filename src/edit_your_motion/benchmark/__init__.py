"""Data sets, published numbers and comparisons."""
