"""Runs with `python3 -m unittest`; needs nothing but Python."""

import unittest
from datetime import datetime, timezone

from schedule import Crontab, Every, iso


def at(text):
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp() * 1000)


class TestEvery(unittest.TestCase):
    def test_times_are_counted_from_the_start(self):
        every, since = Every(10), at("2026-03-01 12:00:05")
        self.assertIsNone(every.last(since, since + 9_999))
        self.assertEqual(every.last(since, since + 25_000), since + 20_000)
        self.assertEqual(every.next(since, since + 25_000), since + 30_000)
        self.assertIsNone(every.last(since, since - 1_000_000), "the clock was set back")


class TestCrontab(unittest.TestCase):
    def last(self, text, now, since="2020-01-01 00:00:00"):
        found = Crontab(text).last(at(since), at(now))
        return found and iso(found)

    def next(self, text, now):
        found = Crontab(text).next(0, at(now))
        return found and iso(found)

    def test_fields(self):
        for text, last, next in [
            ("* * * * *", "2026-03-04T12:30:00Z", "2026-03-04T12:31:00Z"),
            ("*/20 * * * *", "2026-03-04T12:20:00Z", "2026-03-04T12:40:00Z"),
            ("5/20 9-17 * * *", "2026-03-04T12:25:00Z", "2026-03-04T12:45:00Z"),
            ("0 4 * * *", "2026-03-04T04:00:00Z", "2026-03-05T04:00:00Z"),
            ("0 13 * * *", "2026-03-03T13:00:00Z", "2026-03-04T13:00:00Z"),
            ("0 0 1,15 * *", "2026-03-01T00:00:00Z", "2026-03-15T00:00:00Z"),
            ("30 4 * * mon-fri", "2026-03-04T04:30:00Z", "2026-03-05T04:30:00Z"),
            ("0 0 * * 7", "2026-03-01T00:00:00Z", "2026-03-08T00:00:00Z"),
            ("0 0 29 feb *", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"),
            # both days given: either is enough
            ("0 0 1 * sun", "2026-03-01T00:00:00Z", "2026-03-08T00:00:00Z"),
            ("0 0 2 * tue", "2026-03-03T00:00:00Z", "2026-03-10T00:00:00Z"),
        ]:
            with self.subTest(text):
                self.assertEqual((self.last(text, "2026-03-04 12:30:30"), self.next(text, "2026-03-04 12:30:30")), (last, next))

    def test_what_was_due_before_the_start_is_not(self):
        self.assertIsNone(self.last("0 4 * * *", "2026-03-04 12:00:00", since="2026-03-04 04:00:00"))
        self.assertEqual(self.last("0 4 * * *", "2026-03-04 12:00:00", since="2026-03-04 03:59:59"), "2026-03-04T04:00:00Z")

    def test_what_is_no_schedule_is_refused(self):
        for text, why in [
            ("* * * *", "4 fields"), ("60 * * * *", "minute"), ("* 5-3 * * *", "hour"), ("* * 0 * *", "day of the month"), ("*/0 * * * *", "minute"),
            ("x * * * *", "'x'"), ("0 0 31 feb *", "never due"), ("* * * * 8", "day of the week"), ("-1 * * * *", "''"),
        ]:
            with self.subTest(text), self.assertRaises(ValueError) as raised:
                Crontab(text)
            self.assertIn(why, str(raised.exception))


if __name__ == "__main__":
    unittest.main()
