"""Mechanisms of other projects, to compare with."""
