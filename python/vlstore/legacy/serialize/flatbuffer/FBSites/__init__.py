"""The table in which the original program keeps a frame, as its generated code reads it."""
