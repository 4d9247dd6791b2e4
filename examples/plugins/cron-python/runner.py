# The process of a task, after the text of schedule.py: `runner SCHEDULE PROGRAM ARGS…`. It ends when it is told to, and whatever it runs with it.

import subprocess
import sys
import time


def run(schedule, command):
    due = schedule.next(now(), now())
    while due is not None:
        say(f"due at {iso(due)}")
        # the clock may be set while we wait: look at it often
        while (left := due - now()) > 0:
            time.sleep(min(left, 1000) / 1000)
        try:
            ended = subprocess.run(command, stdin=subprocess.DEVNULL).returncode
            say(f"ended by signal {-ended}" if ended < 0 else f"ended with {ended}")
        except OSError as error:
            say(f"did not start: {error}")
        # what became due while it ran is made up for at once, and once
        due = schedule.last(due, now()) or schedule.next(due, now())


def now():
    return int(time.time() * 1000)


def say(words):
    print(f"cron: {words}", flush=True)


if __name__ == "__main__":
    kind, *rest = sys.argv[1].split()
    run(Every(int(rest[0])) if kind == "every" else Crontab(sys.argv[1]), sys.argv[2:])
