//! The loop: hear, do, tell, tidy up.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use hostler_failpoint::failpoint;
use rustix::event::epoll::{self, EventFlags};
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;

use super::connection::Connection;
use super::{Error, ExitReason, Keeper, Leaving, Timer, socket_path, token};
use crate::clock;
use crate::protocol::{EVENT_ID, Response};

/// How long one client's requests are looked at in one turn: a few starts, or some hundred stops, so that all are warned before the first has ended.
const SHARE: Duration = Duration::from_millis(5);
/// Pipes that get a batch in one turn.
const PIPES_PER_TURN: usize = 64;
const EVENTS_PER_TURN: usize = 256;
const MAX_CONNECTIONS: usize = 512;
const CHORES_MS: u64 = 1000;

impl Keeper {
    pub(super) fn turn_until_told(&mut self) -> Result<ExitReason, Error> {
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        loop {
            let timeout = self.timeout();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Error::system("epoll")(error)),
            }
            self.turn += 1;
            // ends first: what is asked in the same turn sees them
            self.hear(&events);
            events.clear();
            self.feed_hungry();
            self.move_output();
            self.fire_timers();
            if let Some(reason) = self.settle() {
                return Ok(reason);
            }
        }
    }

    /// Nothing while something waits to be done, else until the next timer; for ever without one.
    fn timeout(&self) -> Option<rustix::time::Timespec> {
        if !self.busy.is_empty() || !self.hungry.is_empty() {
            return Some(clock::timespec(0));
        }
        let (deadline, _) = self.timers.first()?;
        Some(clock::timespec(deadline.saturating_sub(clock::boot_ms())))
    }

    fn hear(&mut self, events: &[epoll::Event]) {
        let mut asked = Vec::new();
        for event in events {
            let (flags, data) = (event.flags, event.data.u64());
            let id = data & !token::KIND;
            match data & token::KIND {
                token::CHILD => {
                    drain(&mut self.signals.child);
                    self.plan_burial();
                }
                token::TERMINATE => self.terminated(),
                token::WATCH => self.watched_ended(id),
                token::PIPE => self.pipe_is_ready(id, flags.contains(EventFlags::HUP)),
                token::CONNECTION => asked.push((id, flags)),
                _ => asked.push((0, flags)),
            }
        }
        for (id, flags) in asked {
            if id == 0 {
                self.accept();
            } else if let Some(connection) = self.connections.get_mut(&id) {
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    connection.read();
                }
                // what came before the end of the stream was still asked
                self.hungry.insert(id);
            }
        }
    }

    fn accept(&mut self) {
        loop {
            let Some(door) = &mut self.door else { return };
            match door.listener.accept() {
                Ok((stream, _)) => self.let_in(stream),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => {
                        // nobody had to be left outside
                        door.has_complained = false;
                        return;
                    }
                    // who stood there has left
                    ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                    _ => return self.shut_door(&error),
                },
            }
        }
    }

    fn let_in(&mut self, stream: UnixStream) {
        // one at the door when the house is full is told so by being closed
        if self.connections.len() < MAX_CONNECTIONS && may_connect(&stream) && stream.set_nonblocking(true).is_ok() {
            let id = self.new_id();
            let connection = Connection::new(stream);
            let data = epoll::EventData::new_u64(token::CONNECTION | id);
            if epoll::add(&self.epoll, &connection, data, connection.interest).is_ok() {
                self.connections.insert(id, connection);
            }
        }
    }

    /// No descriptor is free for who stands at the door. Epoll would tell of them again at once, and for as long as that lasts.
    fn shut_door(&mut self, error: &std::io::Error) {
        let Some(door) = &mut self.door else { return };
        door.is_shut = epoll::delete(&self.epoll, &door.listener).is_ok();
        if !std::mem::replace(&mut door.has_complained, true) {
            eprintln!("hostler keeper: no client can connect: {error}; trying again every second");
        }
    }

    fn open_door(&mut self) {
        let Some(door) = self.door.as_mut().filter(|door| door.is_shut) else { return };
        let data = epoll::EventData::new_u64(token::LISTENER);
        door.is_shut = epoll::add(&self.epoll, &door.listener, data, EventFlags::IN).is_err();
    }

    /// Gives each client with unread requests its share of this turn.
    fn feed_hungry(&mut self) {
        for id in std::mem::take(&mut self.hungry) {
            let begun = Instant::now();
            loop {
                if begun.elapsed() > SHARE {
                    self.hungry.insert(id);
                    break;
                }
                let Some(connection) = self.connections.get_mut(&id) else { break };
                match connection.next_frame() {
                    Ok(Some(frame)) => self.hear_request(id, &frame),
                    Ok(None) => break,
                    Err(error) => {
                        eprintln!("hostler keeper: a client is disconnected: {error}");
                        connection.is_over = true;
                        break;
                    }
                }
            }
        }
    }

    pub(super) fn move_output(&mut self) {
        for _ in 0..self.busy.len().min(PIPES_PER_TURN) {
            if let Some(id) = self.busy.pop_front() {
                self.pipe_turn(id);
            }
        }
    }

    fn fire_timers(&mut self) {
        let now = clock::boot_ms();
        while let Some((deadline, _)) = self.timers.first() {
            if *deadline > now {
                break;
            }
            match self.timers.pop_first() {
                Some((deadline, Timer::Stop(key))) => self.stop_timer(&key, deadline),
                Some((_, Timer::HalfLine(pipe, size))) => self.unclog(pipe, size),
                Some((_, Timer::Burial)) => self.bury(),
                Some((_, Timer::Chores)) => self.do_chores(),
                None => break,
            }
        }
    }

    /// Tells what happened, and says whether that was the last turn. What happened is written in the journal by now; what the disk still has to
    /// do for it keeps nobody waiting.
    fn settle(&mut self) -> Option<ExitReason> {
        let ending = self.leaves_now();
        failpoint!("keeper.turn.before-telling");
        self.tell();
        failpoint!("keeper.turn.told");
        if ending.is_some() {
            self.journal.settle();
            return ending;
        }
        if self.journal.wants_compaction() {
            self.compact();
        }
        let is_shut = self.door.as_ref().is_some_and(|door| door.is_shut);
        let chores = self.journal.is_behind() || is_shut || !self.litter.is_empty();
        if chores && !self.has_chores {
            self.has_chores = true;
            self.timers.insert((clock::boot_ms() + CHORES_MS, Timer::Chores));
        }
        None
    }

    fn do_chores(&mut self) {
        self.has_chores = false;
        self.journal.begin_to_settle();
        self.litter.retain(|group| !group.remove());
        self.open_door();
    }

    fn tell(&mut self) {
        for event in std::mem::take(&mut self.events) {
            for connection in self.connections.values_mut().filter(|connection| connection.is_subscribed) {
                connection.send(EVENT_ID, &event, &[]);
            }
        }
        for (id, connection) in &mut self.connections {
            let was_full = !connection.wanted().contains(EventFlags::IN);
            connection.flush();
            let wanted = connection.wanted();
            if was_full && wanted.contains(EventFlags::IN) {
                self.hungry.insert(*id);
            }
            if wanted != connection.interest && !connection.is_over {
                connection.interest = wanted;
                let data = epoll::EventData::new_u64(token::CONNECTION | id);
                connection.is_over |= epoll::modify(&self.epoll, &*connection, data, wanted).is_err();
            }
        }
        // closing a descriptor takes it out of epoll
        self.connections.retain(|id, connection| !connection.is_over || self.hungry.contains(id));
    }

    pub(super) fn compact(&mut self) {
        let records: Vec<_> = self.tasks.values().flat_map(|task| task.records(&self.boot_id)).collect();
        if let Err(error) = self.journal.compact(self.next_run, &records) {
            eprintln!("hostler keeper: {error}; the journal stays as it is");
        }
    }

    fn terminated(&mut self) {
        drain(&mut self.signals.terminate);
        self.is_terminated = true;
        let running = self.tasks.values().filter(|task| task.is_running()).count();
        if running > 0 {
            eprintln!(
                "hostler keeper: SIGTERM heard: {running} processes are kept until they have ended, and then this ends too; a shutdown stops them"
            );
        }
    }

    /// Is all that a shutdown waits for done?
    fn leaves_now(&mut self) -> Option<ExitReason> {
        if self.leaving.is_none() && !self.is_terminated || self.tasks.values().any(|task| task.is_running() || task.stop.is_some()) {
            return None;
        }
        let Leaving { reason, waiters } = self.leaving.take().unwrap_or(Leaving { reason: ExitReason::Terminated, waiters: Vec::new() });
        self.empty_pipes();
        failpoint!("keeper.leave.pipes-emptied");
        for waiter in waiters {
            self.answer(waiter, &Response::Done, &[]);
        }
        let _ = std::fs::remove_file(socket_path(&self.options.dir));
        failpoint!("keeper.leave.socket-removed");
        let _ = std::fs::remove_dir_all(&self.pipes_path);
        // all have ended, and how is known
        self.litter.extend(self.tasks.values_mut().filter_map(|task| task.group.take()));
        self.litter.retain(|group| !group.remove());
        self.cgroups.leave();
        failpoint!("keeper.leave.clean");
        Some(reason)
    }
}

/// Only our own user and root talk to us; the socket's mode says the same.
fn may_connect(stream: &UnixStream) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.uid == geteuid() || peer.uid.is_root())
}

fn drain(stream: &mut UnixStream) {
    let mut bytes = [0; 256];
    while matches!(stream.read(&mut bytes), Ok(read) if read > 0) {}
}
