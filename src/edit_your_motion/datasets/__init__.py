"""Data sets on disk as cases: who is edited, whose motion it is, and what the edit should become where that is known.

``case`` and ``clip`` are the interface, ``config`` says how cases are cut out of clips, and each layout has a module
of its own; ``catalogue`` opens any of them by name.
"""
