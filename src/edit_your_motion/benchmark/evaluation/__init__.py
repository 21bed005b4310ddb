"""Measuring clips, whoever made them."""
