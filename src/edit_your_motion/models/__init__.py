"""Checkpoints in: found on disk or the hub, recognised, checked tensor by tensor, and told apart by their contents."""
