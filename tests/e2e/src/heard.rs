//! What a program says, while it says it.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Grows until the program, and everybody it has handed its output to, has closed it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<(Mutex<Said>, Condvar)>);

#[derive(Debug, Default)]
struct Said {
    bytes: Vec<u8>,
    /// Who still listens.
    open: usize,
}

impl Heard {
    /// Listens, beside whoever listens into it already.
    pub(crate) fn listen(&self, mut from: impl Read + Send + 'static) {
        self.lock().open += 1;
        let heard = self.clone();
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            // A terminal that nobody has open any more reads as an error: the end.
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                heard.lock().bytes.extend_from_slice(&buffer[..count]);
            }
            heard.lock().open -= 1;
            heard.0.1.notify_all();
        });
    }

    /// Until now.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    /// To the end; where a process in the background keeps the output open, as far as it came within some seconds.
    pub(crate) fn to_its_end(&self) -> String {
        let waited = self.0.1.wait_timeout_while(self.lock(), Duration::from_secs(5), |said| said.open > 0);
        drop(waited);
        self.text()
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
