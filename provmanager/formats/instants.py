"""Times as documents write them, to aware UTC instants."""

from datetime import UTC, datetime, timedelta


def parse_instant(text: str) -> datetime:
    """Return the instant of ISO 8601 `text`; without a zone it is taken as UTC.

    Digits beyond microseconds are cut off; a leap second (``:60``) is the second after ``:59``.

    Raises
    ------
    ValueError
        `text` is no such time.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        head, leap, tail = text.strip().partition(":60")
        if not leap:
            raise
        found = datetime.fromisoformat(f"{head}:59{tail}") + timedelta(seconds=1)
    if found.tzinfo is None:
        return found.replace(tzinfo=UTC)
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is outside the years 1 to 9999") from error
