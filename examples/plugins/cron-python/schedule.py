"""When a job is due: every so many seconds, or a crontab's five fields, in UTC. No import of the host: plain Python."""

from datetime import datetime, timedelta, timezone

FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
NAMES = {
    3: dict(zip("jan feb mar apr may jun jul aug sep oct nov dec".split(), range(1, 13))),
    4: dict(zip("sun mon tue wed thu fri sat".split(), range(7))),
}
# the 29th of February comes back within eight years
FAR = 8 * 366


class Every:
    """Every `seconds`, counted from the start of the task."""

    def __init__(self, seconds):
        self.ms = seconds * 1000

    def last(self, since, now):
        """The last time that it was due in (since, now], in milliseconds; None when it was not."""
        times = (now - since) // self.ms
        return since + times * self.ms if times > 0 else None

    def next(self, since, now):
        return since + (max(now - since, 0) // self.ms + 1) * self.ms


class Crontab:
    """`minute hour day month weekday`, each a `*`, a number, a range `a-b`, steps `/n`, or a list of those."""

    def __init__(self, text):
        fields = text.split()
        if len(fields) != 5:
            raise ValueError(f"has {len(fields)} fields instead of five: minute, hour, day, month, weekday")
        minutes, hours, self.days, self.months, weekdays = (field(index, text) for index, text in enumerate(fields))
        self.times = [(hour, minute) for hour in sorted(hours) for minute in sorted(minutes)]
        # 7 is Sunday too; Python's Monday is 0
        self.weekdays = {(day - 1) % 7 for day in weekdays}
        # as every cron has it: when both are given, either is enough
        self.either = not fields[2].startswith("*") and not fields[4].startswith("*")
        if self._day(datetime(2024, 1, 1, tzinfo=timezone.utc), 1, FAR) is None:
            raise ValueError("is never due")

    def last(self, since, now):
        at = moment(now)
        day = at
        while (day := self._day(day, -1, FAR)) is not None:
            for hour, minute in reversed(self.times):
                due = day.replace(hour=hour, minute=minute, second=0, microsecond=0)
                if due <= at:
                    return ms(due) if ms(due) > since else None
            day -= timedelta(days=1)
            if ms(day.replace(hour=23, minute=59)) <= since:
                return None
        return None

    def next(self, since, now):
        day = moment(now)
        while (day := self._day(day, 1, FAR)) is not None:
            for hour, minute in self.times:
                due = day.replace(hour=hour, minute=minute, second=0, microsecond=0)
                if ms(due) > now:
                    return ms(due)
            day += timedelta(days=1)
        return None

    def _day(self, day, step, most):
        """The first day from `day` on that is meant, forwards or backwards."""
        for _ in range(most):
            dates, weekdays = day.day in self.days, day.weekday() in self.weekdays
            if day.month in self.months and ((dates or weekdays) if self.either else (dates and weekdays)):
                return day
            day += timedelta(days=step)
        return None


def field(index, text):
    """The numbers that one field means."""
    name, least, most = FIELDS[index]
    numbers = set()
    for part in text.lower().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        low = least if span == "*" else number(index, first)
        high = most if span == "*" or (slash and not dash) else number(index, last) if dash else low
        step = number(None, step) if slash else 1
        if not (least <= low <= high <= most) or step < 1:
            raise ValueError(f"{name}: {part!r} is not within {least} to {most}")
        numbers.update(range(low, high + 1, step))
    return numbers


def number(index, text):
    found = NAMES.get(index, {}).get(text)
    if found is None and not text.isdecimal():
        raise ValueError(f"{text!r} is no number")
    return int(text) if found is None else found


def moment(ms):
    return datetime.fromtimestamp(ms // 1000, timezone.utc)


def ms(moment):
    return int(moment.timestamp()) * 1000


def iso(ms):
    return moment(ms).strftime("%Y-%m-%dT%H:%M:%SZ")
