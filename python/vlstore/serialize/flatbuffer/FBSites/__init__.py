"""The names of the original program, from :mod:`vlstore.legacy.serialize.flatbuffer.FBSites`."""
