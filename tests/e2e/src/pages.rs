//! A service that speaks HTTP and does as a file says, so that a test can make it ill and well again.

use std::path::{Path, PathBuf};

use crate::machine::free_port;

/// Python's own server, with an answer that is read anew for each request: `200 all is well`, `503 no`, `hang`.
const SERVER: &str = r#"
import http.server, sys, time
port, mood = int(sys.argv[1]), sys.argv[2]

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        word, _, text = open(mood).read().strip().partition(" ")
        while word == "hang":
            time.sleep(0.02)
            word, _, text = open(mood).read().strip().partition(" ")
        body = f"{self.command} {self.path} {self.headers.get('x-who', '-')} {text}\n".encode()
        self.send_response(int(word))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
    do_HEAD = do_POST = do_GET

print("listening on", port, flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Page).serve_forever()
"#;

/// The page, and how to change its mood.
#[derive(Debug)]
pub struct Page {
    /// Where it listens.
    pub port: u16,
    script: PathBuf,
    mood: PathBuf,
}

impl Page {
    /// Writes it into a directory, in the mood `200 fine`.
    ///
    /// # Panics
    /// When the directory cannot be written.
    pub fn new(dir: &Path, name: &str) -> Page {
        let page = Page { port: free_port(), script: dir.join(format!("{name}.py")), mood: dir.join(format!("{name}.mood")) };
        std::fs::write(&page.script, SERVER).expect("the directory is ours");
        page.answers("200 fine");
        page
    }

    /// From now on.
    ///
    /// # Panics
    /// When its file cannot be written.
    pub fn answers(&self, mood: &str) {
        // In one step, so that nobody reads half of it.
        let beside = self.mood.with_extension("new");
        std::fs::write(&beside, mood).and_then(|()| std::fs::rename(&beside, &self.mood)).expect("the directory is ours");
    }

    /// Its `backend` table.
    pub fn backend(&self) -> String {
        let (script, mood) = (self.script.display(), self.mood.display());
        format!(r#"{{ type = "process", binary = "/usr/bin/python3", args = ["{script}", {}, "{mood}"] }}"#, self.port)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}
