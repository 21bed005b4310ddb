"""What every page of ours that is served to browsers has in common: headers, refusals, bounded bodies, a socket."""
