"""Dates, time zones, calendars, all fixed."""
import calendar
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

start = datetime(2024, 2, 28, 23, 30, tzinfo=timezone.utc)
print(start + timedelta(days=1, hours=1), (start + timedelta(days=2)).isoformat())
print(start.astimezone(ZoneInfo("Asia/Shanghai")).strftime("%Y-%m-%d %H:%M %z"), start.timestamp())
print(date.fromisoformat("2024-12-30").isocalendar(), date(2024, 1, 31).replace(month=3) - date(2024, 1, 31))
print(datetime.strptime("5 Mar 2023 07:08", "%d %b %Y %H:%M"), time(1, 2, 3).isoformat(timespec="milliseconds"))
print(calendar.month(2024, 2), end="")
print([d for d in range(1, 32) if date(2024, 3, d).weekday() == 4], calendar.isleap(1900), calendar.monthrange(2023, 2))
print(timedelta(seconds=3661), max(date(2023, 5, 1), date(2022, 6, 1)), bool(timedelta(0)))
