//! Output on its way from the pipes to the logs.

use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;

use super::{Keeper, OpenLog, Timer, token};
use crate::clock;
use crate::log::Writer;
use crate::pipes::{self, Pipe, Turn};
use crate::protocol::Origin;

/// How long half a line may wait in its pipe before it is taken into memory.
const HALF_LINE_MS: u64 = 1000;

impl Keeper {
    /// Takes a pipe into the loop; answers the number it goes by.
    pub(super) fn add_pipe(&mut self, fd: OwnedFd, origin: Origin, log_name: &str, name: String) -> rustix::io::Result<u64> {
        self.open_log(log_name)?;
        let id = self.new_id();
        let pipe = Pipe::new(fd, origin, log_name.to_owned(), name);
        // edges only: half a line stays in the pipe and would wake us for ever
        if let Err(error) = self.watch(&pipe, token::PIPE | id, EventFlags::IN | EventFlags::ET) {
            self.close_log(log_name);
            return Err(error);
        }
        self.pipes.insert(id, pipe);
        Ok(id)
    }

    /// Closes a pipe and removes its name.
    pub(super) fn drop_pipe(&mut self, id: u64) {
        if let Some(pipe) = self.pipes.remove(&id) {
            pipes::remove(&self.pipes_dir, &pipe.name);
            self.close_log(&pipe.log_name);
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

    /// Reads a task's pipes in this turn, so that its last lines are in the log when its end is told.
    pub(super) fn ready_pipes_of(&mut self, tag: &str) {
        let names = [Origin::Out, Origin::Err].map(|origin| pipes::name(tag, origin));
        let ids: Vec<u64> = self.pipes.iter().filter(|(_, pipe)| names.contains(&pipe.name)).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.pipe_is_ready(id, false));
    }

    pub(super) fn pipe_turn(&mut self, id: u64) {
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        let Some(log) = self.writers.get_mut(&pipe.log_name) else { return };
        let turn = pipe.turn(&mut self.peephole, &mut log.writer);
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
    }

    fn open_log(&mut self, name: &str) -> rustix::io::Result<()> {
        if let Some(log) = self.writers.get_mut(name) {
            log.pipes += 1;
            return Ok(());
        }
        let writer = Writer::open(&self.logs_dir, name, self.limits())?;
        self.writers.insert(name.to_owned(), OpenLog { writer, pipes: 1 });
        Ok(())
    }

    fn close_log(&mut self, name: &str) {
        let Some(log) = self.writers.get_mut(name) else { return };
        log.pipes -= 1;
        if log.pipes == 0 {
            self.writers.remove(name);
        }
    }
}
