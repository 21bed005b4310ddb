"""The command line: ``edit-your-motion``, in short ``eym``."""

from edit_your_motion.cli.app import app, main

__all__ = ["app", "main"]
