//! Commands, answered by scripts.

use super::FakeHost;
use super::world::World;
use crate::host::Error;
use crate::host::commands::{Command, Output};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

type Script = Rc<dyn Fn(&Command) -> Result<Output, Error>>;

/// What each program answers, and what was run.
#[derive(Default)]
pub(super) struct Scripts {
    programs: BTreeMap<String, Script>,
    ran: Vec<Command>,
}

impl FakeHost {
    /// What a program on this machine answers from now on. A program without a script is [`Error::NotFound`].
    pub fn on_command(&self, program: &str, script: impl Fn(&Command) -> Result<Output, Error> + 'static) {
        self.world.borrow_mut().commands.add(program, script);
    }

    /// What a program inside the task answers; from the first of them on, the task's backend can run commands in it.
    pub fn on_task_command(&self, program: &str, script: impl Fn(&Command) -> Result<Output, Error> + 'static) {
        self.world.borrow_mut().in_task.get_or_insert_default().add(program, script);
    }

    /// Every command that was run on this machine, in order.
    pub fn commands(&self) -> Vec<Command> {
        self.world.borrow().commands.ran.clone()
    }

    /// Every command that was run inside the task, in order.
    pub fn task_commands(&self) -> Vec<Command> {
        self.world.borrow().in_task.as_ref().map_or_else(Vec::new, |scripts| scripts.ran.clone())
    }
}

impl Scripts {
    pub(super) fn add(&mut self, program: &str, script: impl Fn(&Command) -> Result<Output, Error> + 'static) {
        self.programs.insert(program.into(), Rc::new(script));
    }
}

/// Runs a script. It may use the host itself, so nothing is borrowed meanwhile.
pub(super) fn run(world: &RefCell<World>, scripts: impl Fn(&mut World) -> Option<&mut Scripts>, command: &Command) -> Result<Output, Error> {
    let script = {
        let mut world = world.borrow_mut();
        let scripts = scripts(&mut world).ok_or_else(|| Error::Unavailable("the task's backend cannot run commands in it".into()))?;
        scripts.ran.push(command.clone());
        scripts.programs.get(&command.program).cloned().ok_or(Error::NotFound)?
    };
    script(command)
}
