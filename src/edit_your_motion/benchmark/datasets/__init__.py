"""Benchmarks on data sets of real people's clips."""
