"""Where independent tasks run: one after the other, in processes of this machine, on Ray, under SLURM."""
