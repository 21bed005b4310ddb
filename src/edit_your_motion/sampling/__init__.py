"""What goes beyond the paper while sampling, and is off by default."""
