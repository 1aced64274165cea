"""Stores of frames in the programs for molecular dynamics, each with a module of its own.

======================================= ============================================== =================
module                                  what it brings                                 needs
======================================= ============================================== =================
:mod:`vlstore.plugins.ase`              ``ase.io.read`` and ``write``, a writer for    ``vlstore[ase]``
                                        dynamics, frames as ``Atoms`` and back
:mod:`vlstore.plugins.mdanalysis`       a reader, a writer, a topology parser          ``vlstore[MDAnalysis]``
:mod:`vlstore.plugins.mdtraj`           load, iterload, open, save                     ``vlstore[mdtraj]``
:mod:`vlstore.plugins.openmm`           a reporter                                     ``vlstore[openmm]``
======================================= ============================================== =================

Importing this package imports none of them.
"""
