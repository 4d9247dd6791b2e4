//! What the loop has still to hear, in two lines: what waits for a disk is never in the way of what does not.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use crate::message::Message;

/// Messages for the loop. Those that write nothing by themselves (news of tasks, looks, notes) are heard before those that do (changes and
/// other commits), each kind in the order in which it was sent: a task that crashed does not wait until everything is written that was asked
/// for before. Nobody can tell the difference but by that: who asked for a change knows nothing of it until it is answered.
pub(crate) struct Queue {
    inbox: mpsc::UnboundedReceiver<Message>,
    /// Heard at once.
    quick: VecDeque<Message>,
    /// Each waits for its own commit.
    slow: VecDeque<Message>,
}

impl Queue {
    pub(crate) fn new(inbox: mpsc::UnboundedReceiver<Message>) -> Self {
        Self { inbox, quick: VecDeque::new(), slow: VecDeque::new() }
    }

    /// Waits until there is something to hear; false: nothing comes any more. Cancelled, it has lost nothing.
    pub(crate) async fn fill(&mut self) -> bool {
        if self.quick.is_empty() && self.slow.is_empty() {
            match self.inbox.recv().await {
                Some(message) => self.put(message),
                None => return false,
            }
        }
        true
    }

    /// Takes in what was sent meanwhile; tells how many there are that wait for no disk.
    pub(crate) fn sort(&mut self) -> usize {
        while let Ok(message) = self.inbox.try_recv() {
            self.put(message);
        }
        self.quick.len()
    }

    /// The next one that waits for no disk.
    pub(crate) fn quick(&mut self) -> Option<Message> {
        self.quick.pop_front()
    }

    /// The next one that waits for its commit.
    pub(crate) fn slow(&mut self) -> Option<Message> {
        self.slow.pop_front()
    }

    /// Behind those of its kind.
    pub(crate) fn put(&mut self, message: Message) {
        if message.writes() { self.slow.push_back(message) } else { self.quick.push_back(message) }
    }

    /// Gives back the room that many took.
    pub(crate) fn rest(&mut self) {
        self.quick.shrink_to_fit();
        self.slow.shrink_to_fit();
    }

    /// All that is there, for whoever hears only some of it now and puts the rest back.
    pub(crate) fn take(&mut self) -> VecDeque<Message> {
        let mut all = std::mem::take(&mut self.quick);
        all.append(&mut self.slow);
        all
    }

    /// The next one that is sent, of either kind; nothing: nothing comes any more.
    pub(crate) async fn sent(&mut self) -> Option<Message> {
        self.inbox.recv().await
    }
}

#[cfg(test)]
mod tests {
    use hostler_store::{NewEvent, Txn};
    use tokio::sync::oneshot;

    use super::*;

    fn note(text: &str) -> Message {
        Message::Note(NewEvent::new(text, "", 0, "{}"))
    }

    fn commit(text: &str) -> Message {
        Message::Commit(Box::new(Txn::new().put(text, text)), oneshot::channel().0)
    }

    fn name(message: Option<Message>) -> Option<String> {
        match message? {
            Message::Note(event) => Some(event.kind.clone()),
            Message::Commit(txn, _) => Some(format!("{:?}", txn.ops)),
            _ => unreachable!("only these are sent here"),
        }
    }

    #[tokio::test]
    async fn what_writes_nothing_overtakes_what_does_and_neither_its_own_kind() {
        let (outbox, inbox) = mpsc::unbounded_channel();
        let mut queue = Queue::new(inbox);
        for message in [commit("a"), note("1"), Message::Leave, commit("b"), note("2")] {
            outbox.send(message).ok();
        }
        assert!(queue.fill().await);
        assert_eq!(queue.sort(), 2);
        let quick = [name(queue.quick()), name(queue.quick()), name(queue.quick())];
        assert_eq!(quick, [Some("1".to_owned()), Some("2".to_owned()), None]);
        assert!(name(queue.slow()).is_some_and(|first| first.contains("\"a\"")));
        // Who comes while a commit is waited for is heard before the next one.
        outbox.send(note("3")).ok();
        assert_eq!(queue.sort(), 1);
        assert_eq!(name(queue.quick()), Some("3".to_owned()));
        assert!(matches!(queue.slow(), Some(Message::Leave)));
        assert!(name(queue.slow()).is_some_and(|last| last.contains("\"b\"")));
        drop(outbox);
        assert!(queue.quick().is_none() && queue.slow().is_none() && !queue.fill().await);
    }

    #[test]
    fn a_traced_message_is_of_the_kind_that_it_wraps() {
        let traced = |message| Message::Traced(opentelemetry::Context::new(), Box::new(message));
        assert!(traced(commit("a")).writes() && !traced(note("1")).writes());
    }
}
