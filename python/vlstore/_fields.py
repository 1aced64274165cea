"""What of a frame has an entry for each site."""

#: Standard fields that have an entry for each site.
BY_SITE = frozenset(("positions", "velocities", "forces", "types", "masses", "charges"))
