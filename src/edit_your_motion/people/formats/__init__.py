"""Keypoints and masks in files, in the forms that tools write and read them."""
