"""What runs on the testbed's own Python, where DiracX is and provmanager is not.

Started as ``python -m pilot.worker`` with the folder above on PYTHONPATH: relative imports only,
and of this package only. `tokens` and `claims` are standard library, and the supervisor, which
runs on provmanager's Python, uses them too.

A job's description (JDL) is read from DiracX's database, because no route of DiracX 0.7 returns
it. The other way, an extension with a route of its own, was left out: DiracX takes one extension
only, which would then be ours, where people may want to try theirs; and the server would no
longer be the one that they know.
"""
