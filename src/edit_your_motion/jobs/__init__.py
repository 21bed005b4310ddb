"""Whole jobs from files to folders: edit, tune, apply, prepare; output folder, run record, scores."""
