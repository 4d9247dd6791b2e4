"""What a run of schemathesis against a real host leaves out: waiting. Everything else is sent as it was thought of."""

import schemathesis

# An answer that is followed never ends, and one that is waited for comes late.
SHORT = {"wait_ms": 200, "timeout_ms": 200, "for_ms": 200}


def shorten(values):
    if isinstance(values, dict):
        values.pop("follow", None)
        for name, most in SHORT.items():
            if isinstance(values.get(name), int) and not isinstance(values[name], bool) and values[name] > most:
                values[name] = most


@schemathesis.hook
def before_call(context, case, kwargs):
    shorten(case.query)
    shorten(case.body)
