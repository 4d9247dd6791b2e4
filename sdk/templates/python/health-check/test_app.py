"""Runs with `python3 -m unittest`, after `hostler plugin build` has written the bindings."""

import sys
import unittest
from unittest import mock

sys.path.insert(0, "target/bindings")

import app
from componentize_py_types import Err
from wit_world.exports.health_check import Verdict
from wit_world.imports import commands, errors
from wit_world.imports.types import Fault_Denied

SETTINGS = '{"file": "/etc/passwd", "text": "-root:"}'


def check(**run):
    with mock.patch.object(commands, "run", **run) as called:
        return app.HealthCheck().check(None, SETTINGS, 1000), called


class TestCheck(unittest.TestCase):
    def test_the_exit_code_decides(self):
        for code, verdict in [(0, Verdict.PASS), (1, Verdict.FAIL), (2, Verdict.UNKNOWN), (None, Verdict.UNKNOWN)]:
            report, called = check(return_value=commands.Output(code, None, b"", b"", False))
            self.assertEqual(report.verdict, verdict)
            # a text is never an option
            self.assertEqual(called.call_args.args[0].args, ["-q", "-F", "-e", "-root:", "--", "/etc/passwd"])

    def test_not_being_able_to_look_is_unknown(self):
        report, _ = check(side_effect=Err(errors.Error_Unavailable("busy")))
        self.assertEqual(report.verdict, Verdict.UNKNOWN)

    def test_what_is_not_granted_is_a_fault(self):
        with self.assertRaises(Err) as raised:
            check(side_effect=Err(errors.Error_Denied("commands /bin/grep")))
        self.assertIsInstance(raised.exception.value, Fault_Denied)

    def test_mistakes_are_named_by_their_place(self):
        for settings, at in [('{"file": "/"}', "/text"), ('{"file": "/", "text": "x", "txet": 1}', "/txet"), ('{"file": 1, "text": "x"}', "/file")]:
            with self.assertRaises(Err) as raised:
                app.HealthCheck().validate(settings)
            self.assertEqual([problem.at for problem in raised.exception.value], [at])


if __name__ == "__main__":
    unittest.main()
