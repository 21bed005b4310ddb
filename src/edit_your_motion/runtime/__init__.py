"""How the computation runs on a machine: memory plans, seeds, rounding, convolutions, storage of weights."""
