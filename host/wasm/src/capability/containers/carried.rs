//! Bytes that another program carries; where it brings nothing back, what it says of that.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

/// As much as is kept of what it says.
const SAID: usize = 2 << 10;

/// The standard streams of a program, which ends with this at the latest: what was HTTP may go on as something else.
pub(super) struct Carried {
    _program: Child,
    input: ChildStdin,
    output: ChildStdout,
    errors: ChildStderr,
    said: Vec<u8>,
    is_silent: bool,
    /// Something came back.
    is_heard: bool,
}

impl Carried {
    pub(super) fn by(mut program: Child) -> Option<Carried> {
        let (input, output, errors) = (program.stdin.take()?, program.stdout.take()?, program.stderr.take()?);
        Some(Carried { _program: program, input, output, errors, said: Vec::new(), is_silent: false, is_heard: false })
    }

    /// Reads what it says, so that it never waits to be heard; ready at the end of that.
    fn listen(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.is_silent {
            let mut room = [0; 512];
            let mut part = ReadBuf::new(&mut room);
            let read = ready!(Pin::new(&mut self.errors).poll_read(context, &mut part));
            self.is_silent = read.is_err() || part.filled().is_empty();
            self.said.extend_from_slice(part.filled());
            let surplus = self.said.len().saturating_sub(SAID);
            self.said.drain(..surplus);
        }
        Poll::Ready(())
    }

    /// Its last words.
    fn last_words(&self) -> String {
        let said = String::from_utf8_lossy(&self.said);
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it ended without a word");
        format!("ssh: {}", crate::text::escape(last, 512))
    }
}

impl AsyncRead for Carried {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let _ = self.listen(context);
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.output).poll_read(context, buffer))?;
        self.is_heard |= buffer.filled().len() > before;
        if self.is_heard {
            return Poll::Ready(Ok(()));
        }
        ready!(self.listen(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionRefused, self.last_words())))
    }
}

impl AsyncWrite for Carried {
    /// What a program that has ended takes no more is dropped: reading says why it ended.
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.input).poll_write(context, bytes));
        let is_over = matches!(&written, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
        Poll::Ready(if is_over && !self.is_heard { Ok(bytes.len()) } else { written })
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::process::Command;

    use super::*;

    async fn carried(script: &str) -> (io::Result<usize>, String) {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.kill_on_drop(true).spawn().expect("a shell");
        let mut stream = Carried::by(child).expect("all are pipes");
        stream.write_all(b"hello\n").await.ok();
        let mut text = String::new();
        (stream.read_to_string(&mut text).await, text)
    }

    #[tokio::test]
    async fn who_brings_nothing_says_why() {
        let (read, _) = carried("exec 0<&-; echo first >&2; echo 'Permission denied (publickey).' >&2; exit 255").await;
        assert_eq!(read.expect_err("nothing came").to_string(), "ssh: Permission denied (publickey).");
        let (read, _) = carried("exit 1").await;
        assert_eq!(read.expect_err("nothing came").to_string(), "ssh: it ended without a word");
    }

    #[tokio::test]
    async fn who_talks_much_is_heard_all_the_same() {
        let (read, text) = carried("head -c 300000 /dev/zero | tr '\\0' x >&2; cat <<END\nworld\nEND").await;
        assert!(read.is_ok(), "{read:?}");
        assert_eq!(text, "world\n");
    }
}
