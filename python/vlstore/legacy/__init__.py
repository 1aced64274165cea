"""The classes and functions of the original program.

Its modules have them under their old names: ``vlstore.store``, ``vlstore.serialize``,
``vlstore.loader`` and ``vlstore.hash``; ``docs/from-the-original.md`` says what differs. New
programs need none of them.
"""
