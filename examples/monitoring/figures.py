#!/usr/bin/env python3
"""Hands out a host's figures over TCP: `figures.py SOCKET PORT` answers `GET /metrics` on 127.0.0.1, and nothing else.

Whoever reaches the socket may do anything with the host, and so this asks one thing of it, whatever it is asked.
"""

import http.client
import http.server
import socket
import sys

path, port = sys.argv[1], int(sys.argv[2])


class Host(http.client.HTTPConnection):
    """A connection to the host's own socket."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(path)


class Figures(http.server.BaseHTTPRequestHandler):
    """Answers by what the host answers."""

    def do_GET(self):
        if self.path != "/metrics":
            self.send_error(404)
            return
        try:
            host = Host("hostler")
            host.request("GET", "/metrics")
            answer = host.getresponse()
            body = answer.read()
        except OSError as error:
            self.send_error(502, explain=f"no host answers at {path}: {error}")
            return
        self.send_response(answer.status)
        self.send_header("content-type", answer.getheader("content-type"))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Figures).serve_forever()
