"""The paper's tables, with ours beside its numbers."""
