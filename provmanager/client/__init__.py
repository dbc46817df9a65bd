"""Talk to a provenance server; importing this loads no HTTP library, only using it does."""

from .client import ProvClient
from .spool import DrainResult, Spool
from .wire import (
    ActivityItem,
    BulkItem,
    BulkResult,
    DescriptionsResult,
    LineageAnswer,
    NewToken,
    ProductItem,
    Receipt,
    Resolved,
    RunListItem,
    RunMessage,
    RunProduct,
    RunStep,
    SearchPage,
    Spooled,
    SummaryAnswer,
    TokenItem,
    WorkflowRun,
)

__all__ = [
    "ActivityItem",
    "BulkItem",
    "BulkResult",
    "DescriptionsResult",
    "DrainResult",
    "LineageAnswer",
    "NewToken",
    "ProductItem",
    "ProvClient",
    "Receipt",
    "Resolved",
    "RunListItem",
    "RunMessage",
    "RunProduct",
    "RunStep",
    "SearchPage",
    "Spool",
    "Spooled",
    "SummaryAnswer",
    "TokenItem",
    "WorkflowRun",
]
