"""The names of the original program, from :mod:`vlstore.legacy.serialize.flatbuffer.FBSites.FBFrame`."""

from vlstore.legacy.serialize.flatbuffer.FBSites.FBFrame import *  # noqa: F403
