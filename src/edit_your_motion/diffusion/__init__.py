"""The mathematics of diffusion: the loss, DDIM inversion, sampling. Knows the network only as a function of (z, t)."""
