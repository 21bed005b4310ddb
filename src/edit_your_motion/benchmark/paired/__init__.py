"""The paired benchmark: edits of rendered people whose truth is known."""
