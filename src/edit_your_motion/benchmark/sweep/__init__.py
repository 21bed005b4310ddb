"""The sensitivity study: iterations of both stages, and the surface of a score over them."""
