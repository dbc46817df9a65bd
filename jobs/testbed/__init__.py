"""A real DiracX server and workers on this machine, to try and to test grid submission.

DiracX itself, unchanged: its web application with SQLite databases, moto as S3, a configuration
in git and keys of its own; and workers that do what a pilot and DIRAC's JobWrapper do, because
DiracX 0.7 has neither a matcher nor a job wrapper of its own. **Not for production**: it listens
on loopback only, hands out tokens to its own test users and keeps no quota.

==================  ==================================================================
`environment`       the virtual environment that DiracX lies in
`configuration`     keys, users, groups, job types, databases: what DiracX reads
`folder`            what lies where in the testbed's folder
`supervisor`        the process that starts, watches and stops all others
`stalled`           jobs whose worker died without a word
`leftovers`         what such a worker left running
`control`           up, down, status: what ``prod-testbed`` calls
`pilot`             what runs on the testbed's own Python: workers and S3
==================  ==================================================================
"""

from .control import bring_down, bring_up, look_at
from .options import Options, RunningTestbed

__all__ = ["Options", "RunningTestbed", "bring_down", "bring_up", "look_at"]
