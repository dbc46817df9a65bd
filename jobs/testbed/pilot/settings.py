"""What a worker is told by the supervisor, as JSON in one argument."""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """All that a worker needs to know."""

    url: str
    job_database_url: str
    """URL of DiracX's database of jobs, for their descriptions."""
    api_key_file: str
    claims: str
    jobs: str
    """Folder for working directories."""
    site: str
    stamp: str
    """Name of this worker, as a pilot has its stamp."""
    vo: str
    pilot_user: str
    pilot_group: str
    heartbeat_s: float
    kill_grace_s: float
    keep_directories: bool

    def dump(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Self:
        """Read what `dump` wrote."""
        return cls(**json.loads(text))
