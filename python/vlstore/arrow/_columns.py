"""The columns that a store has."""

#: Columns that every store has, in this order, before those of the codec.
PLACE = ("key", "ordinal")
#: Fields of frames in the order of their columns.
FRAME = (
    "step", "time", "energy", "cell", "pbc", "stress", "types", "positions", "velocities", "forces",
    "masses", "charges",
)
#: Numbers that the index has of every record.
INDEX = ("weight", "bytes")
