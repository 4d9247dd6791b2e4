"""What the shop's HTTP programs share: a server on loopback that finishes its requests when it is asked to stop."""

import json
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    daemon_threads = False  # a stop waits for the requests that are running …
    block_on_close = True
    request_queue_size = 128


class Handler(BaseHTTPRequestHandler):
    """Routes: `routes = {("GET", "/health"): function(self, body) -> (status, content type, text)}`."""

    timeout = 5  # … and an idle connection does not hold it up
    routes = {}

    def handle_route(self):
        function = self.routes.get((self.command, self.path.split("?")[0]))
        length = int(self.headers.get("Content-Length") or 0)
        if function is None:
            return self.answer(404, "text/plain", f"no such page: {self.path}\n")
        if length > 64 * 1024:
            return self.answer(413, "text/plain", "that is a very long order\n")
        body = self.rfile.read(length).decode("utf-8", "replace")
        try:
            self.answer(*function(self, body))
        except OSError as error:  # whoever we depend on is away: say so, and stay up
            print(f"{self.command} {self.path}: {error}", flush=True)
            self.answer(503, "application/json", json.dumps({"error": str(error)}))

    do_GET = do_POST = handle_route

    def answer(self, status, content_type, text, location=None):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass  # health checks come every second or two; a program's log is for its own news


def serve(name, port, handler):
    """Serves until SIGTERM or SIGINT, then finishes what is running."""
    server = Server(("127.0.0.1", port), handler)
    server.daemon_threads = False

    def stop(number, frame):
        print(f"{name}: {signal.Signals(number).name}, finishing what is running", flush=True)
        # shutdown() waits for serve_forever() to end, which this very thread is in
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"{name}: listening on http://127.0.0.1:{port}", flush=True)
    with server:
        server.serve_forever(poll_interval=0.05)
    print(f"{name}: stopped", flush=True)
