"""What all clients need: HTTP over a unix socket, and examples of a document held beside what was answered."""

import http.client
import json
import re
import socket

# In an example: something of that kind, which the document does not spell out.
SOME = "..."


class Host(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("hostler", timeout=300)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None):
        """Status and document. A body is JSON, or bytes as they are."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self.request(method, path, body=body, headers=headers)
        answer = self.getresponse()
        text = answer.read()
        kind = answer.getheader("content-type")
        assert kind == "application/json", f"{method} {path}: {kind}: {text!r}"
        return answer.status, json.loads(text)

    def get(self, path):
        status, document = self.ask("GET", path)
        assert status == 200, f"GET {path}: {status} {document}"
        return document


def quoted(text):
    """An example as a document prints it, with its `{...}` and `...`."""
    text = text.replace("{...}", json.dumps({SOME: SOME})).replace("[...]", json.dumps([SOME]))
    return json.loads(re.sub(r",\s*\.\.\.\s*\]", "]", text))


def alike(example, found, at="", by_name=()):
    """Field names and types, all the way down. Below the paths of `by_name` stand names of services: each is as the one of the example."""
    if example is None:
        # The example shows that there may be nothing.
        assert found is None or isinstance(found, str), f"{at}: {found!r}"
    elif isinstance(example, bool) or isinstance(example, str):
        assert type(found) is type(example), f"{at}: {found!r} is no {type(example).__name__}"
    elif isinstance(example, (int, float)):
        kinds = (int,) if isinstance(example, int) else (int, float)
        assert isinstance(found, kinds) and not isinstance(found, bool), f"{at}: {found!r} is no number as {example!r}"
    elif isinstance(example, list):
        assert isinstance(found, list), f"{at}: {found!r} is no list"
        if example and example[0] != SOME:
            for number, one in enumerate(found):
                alike(example[0], one, f"{at}[{number}]", by_name)
    elif SOME in example:
        assert isinstance(found, dict), f"{at}: {found!r} is no object"
    elif at in by_name:
        assert isinstance(found, dict) and found, f"{at}: {found!r}"
        (pattern,) = example.values()
        for name, one in found.items():
            alike(pattern, one, f"{at}.*", by_name)
    else:
        assert isinstance(found, dict), f"{at}: {found!r} is no object"
        assert list(example) == list(found), f"{at}: {list(found)}, and the document has {list(example)}"
        for key in example:
            alike(example[key], found[key], f"{at}.{key}", by_name)


def same(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"
