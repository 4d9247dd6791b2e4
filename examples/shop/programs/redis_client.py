"""A Redis client of one page: enough of the protocol (RESP2) for this shop, and nothing to install."""

import socket


class RedisError(OSError):
    """Redis answered with an error. To whoever wanted an answer that is the same as a Redis that is away."""


class Redis:
    """One connection. It is opened at the first command, and again after it broke.

    A command that meets a broken connection raises `OSError` and is not repeated: whether it happened is not known,
    so what to do about it is the caller's decision.
    """

    def __init__(self, port, timeout=3.0):
        self.port = port
        self.timeout = timeout
        self.stream = None

    def __call__(self, *words):
        """Sends one command and returns its answer: str, int, list or None."""
        return self.pipeline([words])[0]

    def pipeline(self, commands):
        """Sends many commands at once and returns their answers, in order."""
        try:
            stream = self.stream or self._connect()
            stream.write(b"".join(encode(words) for words in commands))
            stream.flush()
            answers = [self._answer() for _ in commands]
        except OSError:
            self.close()
            raise
        for answer in answers:
            if isinstance(answer, RedisError):
                raise answer
        return answers

    def transaction(self, commands):
        """As `pipeline`, but all or nothing."""
        return self.pipeline([("MULTI",), *commands, ("EXEC",)])[-1]

    def close(self):
        if self.stream:
            self.stream.close()
        self.stream = None

    def _connect(self):
        with socket.create_connection(("127.0.0.1", self.port), self.timeout) as connection:
            self.stream = connection.makefile("rwb")  # keeps the connection open by itself
        return self.stream

    def _answer(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return self._bulk(int(rest))
        if kind == b"*":
            return None if rest == b"-1" else [self._answer() for _ in range(int(rest))]
        raise RedisError(f"not an answer of redis: {line!r}")

    def _bulk(self, length):
        if length < 0:
            return None
        body = self.stream.read(length + 2)
        if len(body) < length + 2:
            raise ConnectionError("redis closed the connection")
        return body[:-2].decode()


def encode(words):
    parts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
