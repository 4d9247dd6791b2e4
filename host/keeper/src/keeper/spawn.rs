//! Bringing a process to life: once for each key and command, whatever is repeated or lost.

use hostler_failpoint::failpoint;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;

use super::{Keeper, token};
use crate::cgroup::{Entrances, Group};
use crate::clock;
use crate::identity::Identity;
use crate::journal::{Intent, Record};
use crate::launch::{self, Born, Surroundings, check_key, check_log_name};
use crate::pipes;
use crate::protocol::{Command, ErrorKind, Origin, Process, Refusal, State};
use crate::task::{self, Parentage, Task};
use crate::user::User;

impl Keeper {
    /// Starts it, or finds it.
    pub(super) fn spawn(&mut self, key: String, owner: String, command: &Command) -> Result<Process, Refusal> {
        check_key(&key)?;
        let log_name = command.log_name.clone().unwrap_or_else(|| key.clone());
        check_log_name(&log_name)?;
        let digest = digest(&owner, command);
        if let Some(task) = self.tasks.get(&key) {
            return if task.intent.digest == digest { Ok(task.view()) } else { Err(conflict(task)) };
        }
        if self.leaving.is_some() {
            return Err(Refusal::new(ErrorKind::Unavailable, "the keeper is shutting down"));
        }
        let user = launch::check(command)?;
        let intent = Intent {
            key,
            owner,
            digest,
            log_name,
            run: self.next_run,
            pipes: self.take_pair(),
            boot_id: self.boot_id.clone(),
            at: clock::unix_ms(),
            memory_bytes: command.memory_bytes,
            labels: command.labels.clone(),
        };
        self.next_run += 1;
        self.start(intent, command, user)
    }

    fn start(&mut self, intent: Intent, command: &Command, user: Option<User>) -> Result<Process, Refusal> {
        let tag = task::tag(&intent);
        let unavailable = |what: &str, error: &dyn std::fmt::Display| Refusal::new(ErrorKind::Unavailable, format!("{what}: {error}"));
        let mut ids = Vec::new();
        let ends = [Origin::Out, Origin::Err].map(|origin| self.make_pipe(&intent, origin, user.as_ref(), &mut ids));
        let [Ok(out), Ok(err)] = ends else {
            let error = ends.into_iter().find_map(Result::err).expect("one of them failed");
            self.abandon(&ids);
            return Err(unavailable("output pipe", &error));
        };
        failpoint!("keeper.spawn.pipes-made");
        // from here on a later keeper would look for it
        if let Err(error) = self.journal.write(&Record::Intent(intent.clone())) {
            self.abandon(&ids);
            return Err(unavailable("not started", &error));
        }
        failpoint!("keeper.spawn.intended");
        let (group, mut notes) = self.cgroups.create(&tag, command);
        let (group, entrances) = match group.map(|group| (group.entrances(), group)) {
            Some((Ok(entrances), group)) => (Some(group), entrances),
            Some((Err(error), group)) => {
                notes.push(self.go_without(Some(group), &error));
                (None, Entrances::default())
            }
            None => (None, Entrances::default()),
        };
        let marker = task::marker(self.journal.instance(), &intent);
        let with = Surroundings { marker, out, err, cgroups: entrances, open_files: self.open_files, user };
        failpoint!("keeper.spawn.before-fork");
        match launch::start(command, with, &mut self.slots) {
            Ok(Born { pid, pidfd, kept_out }) => {
                let mut task = Task { notes, group, ..Task::intended(intent) };
                if let Some(error) = kept_out {
                    task.notes.push(self.go_without(task.group.take(), &error));
                }
                Ok(self.started(task, pid, pidfd))
            }
            Err(error) => {
                self.abandon(&ids);
                failpoint!("keeper.spawn.failed");
                self.journal.note(&Record::Gone { key: intent.key });
                failpoint!("keeper.spawn.failure-written");
                self.discard_group(group);
                Err(launch::failure(command, &error))
            }
        }
    }

    /// Parts with cgroups that a child is not in: they would know none of its tree, and limit nothing. The note says so.
    fn go_without(&mut self, group: Option<Group>, error: &std::io::Error) -> String {
        self.discard_group(group);
        format!("cgroups not used, and no limit applied: {error}")
    }

    fn started(&mut self, mut task: Task, pid: i32, pidfd: OwnedFd) -> Process {
        failpoint!("keeper.spawn.forked");
        // a child that has ended already is a zombie until it is reaped, and still has its start time
        let identity = Identity::of(pid).unwrap_or(Identity { pid, start_time: 0 });
        task.identity = Some(identity);
        task.started_at = clock::unix_ms();
        task.state = State::Running;
        let key = task.intent.key.clone();
        let watch = self.new_id();
        // one that cannot be watched is found when the next of our children is buried
        if self.watch(&pidfd, token::WATCH | watch, EventFlags::IN).is_ok() {
            self.watches.insert(watch, key.clone());
        }
        task.is_own = true;
        task.parentage = Parentage::Ours { watch, _pidfd: pidfd };
        self.journal.note(&Record::Started { key: key.clone(), identity, at: task.started_at, notes: task.notes.clone() });
        failpoint!("keeper.spawn.written");
        let view = task.view();
        self.leaders.insert(pid, key.clone());
        self.tasks.insert(key, task);
        view
    }

    /// Makes one output pipe and takes its end into the loop; answers the child's end.
    fn make_pipe(&mut self, intent: &Intent, origin: Origin, user: Option<&User>, ids: &mut Vec<u64>) -> rustix::io::Result<OwnedFd> {
        let (own, childs) = pipes::create(&self.pipes_dir, &pipes::name(intent.pipes, origin), user)?;
        ids.push(self.add_pipe(own, origin, &intent.log_name, intent.pipes)?);
        Ok(childs)
    }

    fn abandon(&mut self, pipes: &[u64]) {
        pipes.iter().for_each(|id| self.drop_pipe(*id));
    }
}

/// Same digest, same process: the owner and every part of the command.
fn digest(owner: &str, command: &Command) -> String {
    let bytes = serde_json::to_vec(&(owner, command)).expect("a command is plain data");
    blake3::hash(&bytes).to_hex().to_string()
}

fn conflict(task: &Task) -> Refusal {
    let state = if task.is_running() { "runs" } else { "has ended" };
    Refusal::new(ErrorKind::Conflict, format!("{} {state} with another command or owner", task.intent.key))
}
