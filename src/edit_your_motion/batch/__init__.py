"""Many edits from one manifest: each row a task that can be done anywhere, and whose results on disk are the truth."""
