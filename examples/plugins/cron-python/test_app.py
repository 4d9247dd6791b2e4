"""Runs with `python3 -m unittest`, after `hostler plugin build` has written the bindings."""

import sys
import unittest
from unittest import mock

sys.path.insert(0, "target/bindings")

import app
from componentize_py_types import Err
from wit_world.imports import errors, processes
from wit_world.imports.types import Phase_Exited, Phase_Gone, Phase_Running, Resources, Task, TaskId


class Keeper:
    """Holds processes as the host does, but runs nothing."""

    def __init__(self):
        self.held, self.commands = {}, []

    def spawn(self, key, command):
        if key not in self.held:
            self.commands.append(command)
            self.held[key] = processes.Process(key, 7, 1, processes.State_Running(), [], command.labels)
        return self.held[key]

    def inspect(self, keys):
        return [self.held.get(key) for key in keys]

    def stop(self, key, signal, grace):
        if key not in self.held:
            raise Err(errors.Error_NotFound())
        self.held[key].state = processes.State_Exited(processes.Exit(None, signal, False, 2))
        return self.held[key].state.value

    def forget(self, key):
        if key in self.held and isinstance(self.held[key].state, processes.State_Running):
            raise Err(errors.Error_Conflict("it runs"))
        self.held.pop(key, None)

    def list(self):
        return list(self.held.values())


def task(digest="d", settings='{"every": 10, "program": "/bin/sleep", "args": ["9"]}'):
    return Task(TaskId("web-0-1", "default", "web", 0, 1), digest, settings, [], Resources(None, None, None), [])


class TestBackend(unittest.TestCase):
    def setUp(self):
        keeper = Keeper()
        for name in ("spawn", "inspect", "stop", "forget", "list"):
            patched = mock.patch.object(processes, name, getattr(keeper, name))
            patched.start()
            self.addCleanup(patched.stop)
        self.keeper, self.backend = keeper, app.Backend()

    def test_started_twice_is_one_process(self):
        first, second = self.backend.start(task()), self.backend.start(task())
        self.assertEqual((first, len(self.keeper.held)), (second, 1))

    def test_other_settings_are_a_conflict(self):
        self.backend.start(task())
        with self.assertRaises(Err) as raised:
            self.backend.start(task("other"))
        self.assertIn("web-0-1", raised.exception.value.value)

    def test_a_life(self):
        handle = self.backend.start(task())
        self.assertIsInstance(self.backend.inspect([handle])[0].phase, Phase_Running)
        with self.assertRaises(Err):
            self.backend.destroy(handle, False)
        self.assertIsInstance(self.backend.stop(handle, None, 10).phase, Phase_Exited)
        self.backend.destroy(handle, False)
        self.assertIsInstance(self.backend.inspect([handle])[0].phase, Phase_Gone)
        self.backend.destroy(handle, False)

    def test_the_runner_gets_the_job_as_arguments(self):
        self.backend.start(task(settings='{"schedule": "0 4 * * *", "program": "/bin/sleep", "args": ["-c", "9"]}'))
        command = self.keeper.commands[0]
        self.assertEqual((command.program, command.args[:2], command.args[3:]), (app.PYTHON, ["-I", "-c"], ["0 4 * * *", "/bin/sleep", "-c", "9"]))
        compile(command.args[2], "runner", "exec")

    def test_mistakes_are_named_by_their_place(self):
        for settings, place in [
            ('{"program": "x"}', ""), ('{"program": "x", "every": 1, "schedule": "* * * * *"}', ""), ('{"program": "x", "every": 0}', "/every"),
            ('{"program": "x", "schedule": "* * *"}', "/schedule"), ('{"every": 1}', "/program"), ('{"program": "x", "every": 1, "args": [1]}', "/args"),
            ('{"program": "x", "every": 1, "agrs": []}', "/agrs"),
        ]:
            with self.assertRaises(Err) as raised:
                self.backend.validate(settings)
            self.assertEqual([problem.at for problem in raised.exception.value], [place], settings)


if __name__ == "__main__":
    unittest.main()
