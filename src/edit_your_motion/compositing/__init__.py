"""An edit in two layers: the place without its person, and the person over it."""
