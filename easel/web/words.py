"""How pages say times, sizes and numbers."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils.html import escape
from django.utils.safestring import mark_safe

from easel import progress, workspace
from easel.web.models import CANCELLED, DONE, FAILED, QUEUED, RUNNING

register = template.Library()
STATE_WORDS = {QUEUED: "waiting", RUNNING: "running", DONE: "done", FAILED: "failed", CANCELLED: "cancelled"}


@register.filter
def ago(seconds: float | None) -> str:
    """'just now', '5 minutes ago', '2026-01-31'."""
    if not seconds:
        return ""
    past = time.time() - seconds
    if past < 60:
        return "just now"
    for size, name in ((60, "minute"), (3600, "hour"), (86400, "day")):
        if past < size * {"minute": 60, "hour": 24, "day": 7}[name]:
            count = int(past // size)
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    return date(seconds)


@register.filter
def date(seconds: float | None) -> str:
    """'2026-01-31 14:25', by the machine's own clock."""
    return "" if not seconds else datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


@register.filter
def time_of_day(seconds: float | None) -> str:
    """'14:25:07', by the machine's own clock."""
    return "" if not seconds else datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%H:%M:%S")


@register.filter
def clock(seconds: float | None) -> str:
    """75 as '1:15'."""
    return "" if seconds is None else workspace.clock(seconds)


@register.filter
def speed(rate: float | None) -> str:
    """'2.5 a second'."""
    return progress.speed(rate) if rate else ""


@register.filter
def size(count: float) -> str:
    """1500000 as '1.5 MB'."""
    for limit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            return f"{count / limit:.1f} {name}"
    return f"{count:.0f} bytes"


@register.filter
def number(value: float | None) -> str:
    """0.123456 as '0.123'."""
    return "" if value is None else f"{value:.3f}"


@register.filter
def title(word: str) -> str:
    """'score-sets' as 'Score sets'."""
    return word.replace("-", " ").capitalize()


@register.filter
def state(word: str) -> str:
    """A job's state in words."""
    return STATE_WORDS.get(word, word)


@register.filter
def share(job: Any) -> int:
    """How much of its phase is done, in percent."""
    return round(100 * job.done / job.total) if job.total else 0


@register.filter
def filename(place: str) -> str:
    """'uploads/0123/bird.jpg:0.5' as 'bird.jpg:0.5'."""
    return place.rstrip("/").rpartition("/")[2]


@register.filter
def plainfile(place: str) -> str:
    """The file that FILE[:weight] names."""
    file, colon, weight = place.rpartition(":")
    return file if colon and "/" not in weight else place


@register.filter
def meant(text: str) -> str:
    """A meaning with what stands in backticks as code."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S308 - escaped before


@register.filter
def at(table: Any, key: Any) -> Any:
    """The value that a table has for a key; '' where it has none."""
    return table.get(key, "") if isinstance(table, dict) else ""
