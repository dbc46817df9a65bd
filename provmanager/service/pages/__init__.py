"""The pages for auditors: HTML made on the server, each with its JSON twin at the same path.

A page is one object that `provmanager.logic` makes; a template writes it as HTML, ``.json`` at the
end of the path (or ``Accept: application/json``) gives it as it is. No page changes anything.
"""

from .finding import router as finding
from .logs import router as logs
from .others import router as others
from .records import router as records
from .signing_in import api as sign_in_links
from .signing_in import router as signing_in

ROUTERS = (sign_in_links, signing_in, finding, records, others, logs)

__all__ = ["ROUTERS"]
