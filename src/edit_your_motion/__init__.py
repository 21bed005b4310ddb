"""Video motion editing of people: one person, another one's motion."""

__version__ = "0.1.0.dev0"
