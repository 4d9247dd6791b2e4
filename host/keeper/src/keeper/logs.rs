//! Output on its way from the pipes to the logs.

use hostler_failpoint::failpoint;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;

use super::{Keeper, OpenLog, Timer, token};
use crate::clock;
use crate::log::Writer;
use crate::pipes::{Pipe, Turn};
use crate::protocol::Origin;

/// How long half a line may wait in its pipe before it is taken into memory.
const HALF_LINE_MS: u64 = 1000;

/// More than a pipe holds.
const LAST_BATCHES: usize = 64;

impl Keeper {
    /// A pair that nobody uses.
    pub(super) fn take_pair(&mut self) -> u64 {
        // numbered from 1 without holes but those in `free`
        self.pairs.free.pop().unwrap_or_else(|| self.pairs.used.last_key_value().map_or(1, |(highest, _)| highest + 1))
    }

    /// Takes a pipe into the loop; answers the number it goes by.
    pub(super) fn add_pipe(&mut self, fd: OwnedFd, origin: Origin, log_name: &str, pair: u64) -> rustix::io::Result<u64> {
        let id = self.new_id();
        let pipe = Pipe::new(fd, origin, log_name.to_owned(), pair);
        // edges only: half a line stays in the pipe and would wake us for ever
        self.watch(&pipe, token::PIPE | id, EventFlags::IN | EventFlags::ET)?;
        self.open_log(log_name);
        self.pipes.insert(id, pipe);
        self.pairs.used.entry(pair).or_default().push(id);
        Ok(id)
    }

    /// Closes a pipe that nobody else holds; with its other half its pair can be used again.
    pub(super) fn drop_pipe(&mut self, id: u64) {
        let Some(pipe) = self.pipes.remove(&id) else { return };
        self.close_log(&pipe.log_name);
        let Some(uses) = self.pairs.used.get_mut(&pipe.pair) else { return };
        uses.retain(|used| *used != id);
        if uses.is_empty() {
            self.pairs.used.remove(&pipe.pair);
            self.pairs.free.push(pipe.pair);
        }
    }

    pub(super) fn pipe_is_ready(&mut self, id: u64, hung_up: bool) {
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        if hung_up {
            pipe.hang_up();
        }
        if !self.busy.contains(&id) {
            self.busy.push_back(id);
        }
    }

    /// Reads a pair in this turn, so that a task's last lines are in the log when its end is told.
    pub(super) fn ready_pair(&mut self, pair: u64) {
        // the pair may be another task's by now; then it is looked at in vain
        let ids = self.pairs.used.get(&pair).cloned().unwrap_or_default();
        ids.into_iter().for_each(|id| self.pipe_is_ready(id, false));
    }

    pub(super) fn pipe_turn(&mut self, id: u64) {
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        let Some(log) = self.writers.get_mut(&pipe.log_name) else { return };
        let turn = pipe.turn(&mut self.peephole, &mut log.writer);
        failpoint!("keeper.output.turned");
        match turn {
            Turn::Busy => self.busy.push_back(id),
            Turn::Quiet => pipe.half_line = None,
            Turn::HalfLine(size) if pipe.half_line == Some(size) => {}
            Turn::HalfLine(size) => {
                pipe.half_line = Some(size);
                self.timers.insert((clock::boot_ms() + HALF_LINE_MS, Timer::HalfLine(id, size)));
            }
            Turn::Ended => self.drop_pipe(id),
        }
    }

    /// Half a line that has not grown may be all that the pipe can hold: makes room.
    pub(super) fn unclog(&mut self, id: u64, size: usize) {
        let Some(pipe) = self.pipes.get_mut(&id).filter(|pipe| pipe.half_line == Some(size)) else { return };
        pipe.half_line = None;
        pipe.carry(&mut self.peephole, size);
        failpoint!("keeper.output.half-line-taken");
    }

    /// Logs what is still in the pipes, before they vanish with us. What is left when this is over was written by something that got away.
    pub(super) fn empty_pipes(&mut self) {
        for (_, mut pipe) in std::mem::take(&mut self.pipes) {
            let Some(log) = self.writers.get_mut(&pipe.log_name) else { continue };
            pipe.hang_up();
            for _ in 0..LAST_BATCHES {
                if pipe.turn(&mut self.peephole, &mut log.writer) != Turn::Busy {
                    break;
                }
            }
        }
    }

    fn open_log(&mut self, name: &str) {
        let limits = self.limits();
        let writer = || Writer::new(&self.logs_dir, name, limits);
        self.writers.entry(name.to_owned()).or_insert_with(|| OpenLog { writer: writer(), pipes: 0 }).pipes += 1;
    }

    fn close_log(&mut self, name: &str) {
        let Some(log) = self.writers.get_mut(name) else { return };
        log.pipes -= 1;
        if log.pipes == 0 {
            self.writers.remove(name);
        }
    }
}
