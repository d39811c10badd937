"""When a scheduled film is made: cron, interval or recurrence rule in a time zone.

Prefect's own schedules do the reckoning, on the server and here, so what is shown is what comes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from pydantic import TypeAdapter, ValidationError

from media.errors import UsageError
from storyboards.fields import did_you_mean

__all__ = ["Schedule", "next_runs", "schedule_from", "when_words"]

Schedule: TypeAlias = CronSchedule | IntervalSchedule | RRuleSchedule

_EVERY_NIGHT = '--cron "0 2 * * *"'
_SHORTEST = timedelta(minutes=1)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def schedule_from(timing: Mapping[str, str | None], now: datetime) -> Schedule:
    """The schedule of `cron`, `interval` or `rrule` in its `timezone`, as they were typed.

    Where it needs a beginning, that is today's midnight. Raises UsageError for what cannot be,
    and for what never comes.
    """
    cron, interval, rrule = (timing.get(name) for name in ("cron", "interval", "rrule"))
    timezone = timing.get("timezone") or "UTC"
    given = [text for text in (cron, interval, rrule) if text is not None]
    if len(given) != 1:
        raise UsageError(
            f"expected one of --cron, --interval and --rrule, got {len(given) or 'none'}",
            todo=f"every night at two is {_EVERY_NIGHT}",
        )
    zone = _zone(timezone)
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if cron is not None:
        schedule: Schedule = _cron(cron, timezone)
    elif interval is not None:
        schedule = _interval(interval, timezone, midnight)
    else:
        schedule = _rrule(rrule or "", timezone)
    runs = next_runs(schedule, now, count=2)
    if not runs:
        raise UsageError("such a moment never comes", where=when_words(schedule))
    if runs[-1] - runs[0] < _SHORTEST and len(runs) > 1:
        raise UsageError("that is more than once a minute", where=when_words(schedule))
    return schedule


def next_runs(schedule: Schedule, now: datetime, count: int = 3) -> list[datetime]:
    """The next moments of the schedule in its time zone, none if there are no more."""
    from prefect._vendor.croniter.croniter import CroniterBadDateError
    from prefect.server.schemas.schedules import SCHEDULE_TYPES

    reckoned = TypeAdapter(SCHEDULE_TYPES).validate_python(schedule.model_dump())
    try:
        # A little later, because a run of this very moment would not be made any more.
        moments = asyncio.run(reckoned.get_dates(count, now + timedelta(seconds=1)))
    except CroniterBadDateError:
        return []
    return [moment.astimezone(ZoneInfo(schedule.timezone or "UTC")) for moment in moments]


def when_words(schedule: Schedule) -> str:
    """The schedule as it was typed, nearly."""
    if isinstance(schedule, CronSchedule):
        return f"cron {schedule.cron}"
    if isinstance(schedule, IntervalSchedule):
        minutes = schedule.interval // timedelta(minutes=1)
        return f"every {minutes // 60}h" if minutes % 60 == 0 else f"every {minutes}m"
    rule = schedule.rrule.rpartition("\n")[2].removeprefix("RRULE:")
    days = re.fullmatch(r"FREQ=DAILY;INTERVAL=(\d+)", rule)
    return f"every {days[1]}d" if days else f"rrule {rule}"


def _zone(name: str) -> ZoneInfo:
    known = sorted(available_timezones())
    if name not in known:
        city = name.rpartition("/")[2].casefold()
        cities = [zone for zone in known if zone.rpartition("/")[2].casefold() == city]
        near = cities or [zone for zone in known if zone[:2].casefold() == name[:2].casefold()]
        hint = f', did you mean "{near[0]}"?' if cities else did_you_mean(name, near)
        raise UsageError(
            f"unknown time zone {name!r}{hint}",
            where="--timezone",
            todo="" if hint else "write it as Europe/Berlin",
        )
    return ZoneInfo(name)


def _cron(text: str, timezone: str) -> CronSchedule:
    # A sixth field would be seconds: sixty films in the minute that was meant.
    if len(text.split()) == 5 or text.startswith("@"):
        try:
            return CronSchedule(cron=text, timezone=timezone)
        except ValidationError:
            pass
    raise UsageError(
        "expected five fields (minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-6), "
        f"got {text!r}",
        where="--cron",
        todo=f"every night at two is {_EVERY_NIGHT}",
    )


def _interval(text: str, timezone: str, midnight: datetime) -> IntervalSchedule | RRuleSchedule:
    match = re.fullmatch(r"\s*([1-9]\d{0,2})\s*([mhdw])\s*", text)
    if match is None:
        raise UsageError(
            f"expected minutes, hours, days or weeks, got {text!r}",
            where="--interval",
            todo="every six hours is --interval 6h",
        )
    every = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if every % timedelta(days=1):
        return IntervalSchedule(interval=every, anchor_date=midnight, timezone=timezone)
    # Prefect's interval of a day moves by an hour when the clocks change: a rule of days does not.
    return RRuleSchedule(
        rrule=f"DTSTART:{midnight:%Y%m%dT%H%M%S}\nRRULE:FREQ=DAILY;INTERVAL={every.days}",
        timezone=timezone,
    )


def _rrule(text: str, timezone: str) -> RRuleSchedule:
    # Of seconds and minutes Prefect would count every one since 2020.
    if not re.search("FREQ=(SECOND|MINUTE)LY", text, re.IGNORECASE):
        try:
            return RRuleSchedule(rrule=text, timezone=timezone)
        except (ValueError, KeyError, TypeError, AttributeError):
            pass  # a ValidationError is a ValueError; dateutil raises all of them
    raise UsageError(
        f"expected a recurrence rule (RFC 5545) of hours, days or more, got {text!r}",
        where="--rrule",
        todo='Mondays at two is --rrule "FREQ=WEEKLY;BYDAY=MO;BYHOUR=2"',
    )
