"""A backend whose tasks are schedules: each time a task is due, its program runs.

A call keeps nothing, so time cannot pass in here. What keeps it is one long-lived process for each task, held by the host: a small program of
Python, `runner.py` and `schedule.py`, whose text this plugin carries and hands to the machine's own interpreter. It outlives plugin and host, and whatever
it runs belongs to its tree: stopping the task stops both.
"""

import json
import pathlib
import re

from componentize_py_types import Err
from hostler import conflict, fault, invalid, is_error, plugin, problems, settings, unsure
from schedule import Crontab
from wit_world.exports import backend, logs
from wit_world.imports import processes
from wit_world.imports.types import Exit, Fault_Invalid, Handle, Phase_Exited, Phase_Gone, Phase_Running, Phase_Unknown, Problem, Status

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["program"],
    "properties": {
        "schedule": {"type": "string", "description": "A crontab's five fields, in UTC: `*/5 * * * *`. This or `every`."},
        "every": {"type": "integer", "minimum": 1, "description": "Seconds from one run to the next. This or `schedule`."},
        "program": {"type": "string", "minLength": 1, "x-path": True, "description": "An absolute path, or one relative to the service file."},
        "args": {"type": "array", "items": {"type": "string"}, "default": [], "description": "Its arguments; no shell reads them."},
    },
    "examples": [{"schedule": "*/5 * * * *", "program": "/bin/date", "args": ["-u"]}],
}
SHAPE = {"schedule": (str, None), "every": (int, None), "program": str, "args": (list, [])}

# Read while the plugin is built: a component has no files.
PYTHON = "/usr/bin/python3"
RUNNER = "\n".join(pathlib.Path(__file__).with_name(name).read_text() for name in ("schedule.py", "runner.py"))


@plugin
class Backend:
    def describe(self):
        return backend.Description(
            name="cron-python",
            version="0.1.0",
            summary="Runs programs when they are due.",
            config_schema='{"type": "object", "additionalProperties": false}',
            task_schema=json.dumps(SCHEMA),
            handle_versions=[1],
            needs=[("processes", 'runs Python, which runs the jobs: programs = [{ program = "/usr/bin/python3", args = ["-I", "-c", "..."] }]')],
        )

    def validate(self, text):
        wrong = mistakes(text)
        if wrong:
            raise Err(wrong)

    def fingerprint(self):
        try:
            held = len(processes.list())
        except Err as error:
            if is_error(error, "Denied"):
                raise fault(error)
            return backend.Engine(False, False, f"the keeper does not answer: {error.value}", [])
        return backend.Engine(True, True, "the keeper answers", [("held", str(held))])

    def start(self, task):
        wrong = mistakes(task.settings)
        if wrong:
            raise Err(Fault_Invalid(wrong))
        wanted = settings(task.settings, SHAPE)
        command = processes.Command(
            program=PYTHON,
            # as a program of its own would be called: it finds nothing of this machine's users, and gets the job as arguments
            args=["-I", "-c", RUNNER, wanted["schedule"] or f"every {wanted['every']}", wanted["program"], *wanted["args"]],
            env=task.env,
            directory=None,
            user=None,
            log_name=None,
            cpu_millis=task.resources.cpu_millis,
            memory_bytes=task.resources.memory_bytes,
            labels=[("digest", task.spec_digest)],
        )
        try:
            process = processes.spawn(task.id.id, command)
        except Err as error:
            raise unsure(error)
        if dict(process.labels).get("digest") != task.spec_digest:
            raise conflict(f"{task.id.id} runs already, from other settings")
        return handle(task.id.id)

    def inspect(self, handles):
        try:
            found = processes.inspect([key(handle) for handle in handles if readable(handle)])
        except Err as error:
            if is_error(error, "Denied"):
                raise fault(error)
            # whoever cannot be asked has not ended: the host waits, and restarts nothing
            return [unknown("the keeper does not answer") for _ in handles]
        found = iter(found)
        return [status(next(found)) if readable(handle) else unknown("the handle is of another plugin") for handle in handles]

    def stop(self, handle, signal, grace):
        try:
            ended = processes.stop(key(handle), signal or "SIGTERM", grace)
        except Err as error:
            if not is_error(error, "NotFound"):
                raise fault(error)
            return self.inspect([handle])[0]
        return Status(Phase_Exited(exited(ended)), None, [], [])

    def destroy(self, handle, force):
        if force:
            self.stop(handle, "SIGKILL", 0)
        try:
            processes.forget(key(handle))
        except Err as error:
            if not is_error(error, "NotFound"):
                raise fault(error)

    def list(self, cursor):
        try:
            held = processes.list()
        except Err as error:
            raise fault(error)
        found = [backend.Found(process.key, handle(process.key), status(process), dict(process.labels).get("digest")) for process in held]
        return backend.Page(found, None)


@plugin
class Logs:
    def read(self, handle, cursor, tail, max_bytes):
        try:
            page = processes.read_log(key(handle), cursor, tail, max_bytes)
        except Err as error:
            raise fault(error)
        lines = [logs.Line(line.at, logs.Origin(line.origin.value), line.continued, line.bytes) for line in page.lines]
        return logs.Chunk(lines, page.next, page.gap)


def mistakes(text):
    values, wrong = problems(text, SHAPE)
    if wrong:
        return wrong
    if (values["schedule"] is None) == (values["every"] is None):
        return [Problem("", "has either `schedule` or `every`", None)]
    if not all(isinstance(arg, str) for arg in values["args"]):
        return [Problem("/args", "has something else than text", None)]
    if values["every"] is not None and values["every"] < 1:
        return [Problem("/every", "is less than a second", None)]
    try:
        values["schedule"] is None or Crontab(values["schedule"])
    except ValueError as error:
        return [Problem("/schedule", str(error), "minute hour day month weekday, as in `30 4 * * mon-fri`")]
    return []


def handle(key):
    return Handle(1, key.encode())


def readable(handle):
    return handle.version == 1 and re.fullmatch(rb"[a-z0-9-]+", handle.state)


def key(handle):
    if not readable(handle):
        raise invalid("", "the handle is of another plugin")
    return handle.state.decode()


def unknown(why):
    return Status(Phase_Unknown(why), None, [], [])


def status(process):
    if process is None:
        return Status(Phase_Gone(), None, [], [])
    attributes = [("pid", str(process.pid))] if process.pid else []
    match process.state:
        case processes.State_Running():
            phase = Phase_Running()
        case processes.State_Exited(ended):
            phase = Phase_Exited(exited(ended))
        case processes.State_Unknown(why):
            # the keeper that held it is lost, and nothing of it is alive
            phase = Phase_Exited(Exit(None, None, False, None, why))
    return Status(phase, process.started_at, [], attributes)


def exited(ended):
    return Exit(ended.code, ended.signal, ended.out_of_memory, ended.at, None)
