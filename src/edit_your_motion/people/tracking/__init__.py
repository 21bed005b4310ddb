"""One person's way through a clip: told apart from others, steadied, with left and right kept."""
