"""What every plugin in Python needs beside its bindings: settings, faults, and errors that reach the host's log.

A fault is raised, never returned: `raise conflict("…")`. What a capability raises becomes a fault by `fault(error)`.
"""

import functools
import inspect
import json
import traceback

from componentize_py_types import Err
from wit_world.imports import log
from wit_world.imports.types import (
    Fault_Conflict, Fault_Denied, Fault_Gone, Fault_Interrupted, Fault_Invalid, Fault_Other, Fault_Unavailable, Fault_Unsupported, Problem, Retry,
)


def invalid(at, message, hint=None):
    """The request can never work: what is wrong at one place (a JSON pointer) of the settings."""
    return Err(Fault_Invalid([Problem(at, message, hint)]))


def unavailable(message, after_ms=None):
    """Nothing happened; the engine is away or busy, and the host asks again later."""
    return Err(Fault_Unavailable(Retry(message, after_ms)))


def interrupted(message):
    """It may have happened; the host looks before it does anything else."""
    return Err(Fault_Interrupted(message))


def conflict(message):
    """Something of that name exists and differs."""
    return Err(Fault_Conflict(message))


def unsupported(message):
    """This plugin cannot do that at all."""
    return Err(Fault_Unsupported(message))


def fault(error):
    """The fault for what a capability raised, so that the host does the right thing next."""
    said = error.value
    if type(said).__name__.startswith("Fault_"):
        return error
    case = type(said).__name__.removeprefix("Error_")
    text = getattr(said, "value", case)
    if case == "Denied":
        return Err(Fault_Denied(text))
    if case == "NotFound":
        return Err(Fault_Gone())
    if case == "Conflict":
        return conflict(text)
    if case == "Unavailable":
        return unavailable(text)
    if case == "Timeout":
        return interrupted("the deadline passed")
    if case == "Invalid":
        return invalid("", text)
    return Err(Fault_Other(text))


def unsure(error):
    """As `fault`, of a capability that changes something: what is not known to have done nothing may have happened, and the host has to look."""
    return interrupted(error.value.value) if is_error(error, "Other") else fault(error)


def is_error(error, case):
    """Did a capability raise this case of its error: `is_error(error, "NotFound")`?"""
    return isinstance(error, Err) and type(error.value).__name__ == f"Error_{case}"


def problems(settings, shape):
    """What is wrong with settings: `shape` has a type for each key, in a tuple with its default where it may be absent."""
    try:
        found = json.loads(settings)
    except ValueError as error:
        return {}, [Problem("", f"not JSON: {error}", None)]
    if not isinstance(found, dict):
        return {}, [Problem("", "not an object", None)]
    wrong = [Problem(f"/{key}", f"unknown key `{key}`", f"there are {', '.join(shape)}") for key in found if key not in shape]
    values = {}
    for key, kind in shape.items():
        kind, *default = kind if isinstance(kind, tuple) else (kind,)
        if key in found and (not isinstance(found[key], kind) or (isinstance(found[key], bool) and kind is not bool)):
            wrong.append(Problem(f"/{key}", f"is no {kind.__name__}", None))
        elif key not in found and not default:
            wrong.append(Problem(f"/{key}", "is missing", None))
        else:
            values[key] = found[key] if key in found else default[0]
    return values, wrong


def settings(text, shape):
    """The settings by this shape (see `problems`); raises `invalid` with everything that is wrong."""
    values, wrong = problems(text, shape)
    if wrong:
        raise Err(Fault_Invalid(wrong))
    return values


def plugin(cls):
    """Decorates an exported class: an exception that nobody expected reaches the host's log whole, and the host as a fault."""

    def guarded(function):
        @functools.wraps(function)
        def call(*args):
            try:
                return function(*args)
            except Err:
                raise
            except Exception as error:
                # without the lines of source, which are no files in here
                places = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)]
                log.write(log.Level.ERROR, f"{type(error).__name__}: {error}\n" + "\n".join(reversed(places)), [])
                raise Err(Fault_Other(f"{type(error).__name__}: {error}")) from None

        return call

    for name, function in inspect.getmembers(cls, inspect.isfunction):
        # those two have no fault to answer with: of them, an exception is a trap
        if name not in ("describe", "validate") and not name.startswith("_"):
            setattr(cls, name, guarded(function))
    return cls
