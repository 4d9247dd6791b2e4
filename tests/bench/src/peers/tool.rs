//! How each of them is laid out, started, asked and stopped, by its own programs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use crate::Fallible;
use crate::births::Births;
use crate::place::Place;

/// A supervisor from a Debian package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Runit,
    S6,
    Supervisord,
}

impl Tool {
    pub(super) const ALL: [Tool; 3] = [Tool::Runit, Tool::S6, Tool::Supervisord];

    pub(super) fn name(self) -> &'static str {
        match self {
            Tool::Runit => "runit",
            Tool::S6 => "s6",
            Tool::Supervisord => "supervisord",
        }
    }

    /// The first of its programs that is not installed.
    pub(super) fn missing(self) -> Option<&'static str> {
        let programs: &[&str] = match self {
            Tool::Runit => &["runsvdir", "runsv", "sv"],
            Tool::S6 => &["s6-svscan", "s6-supervise", "s6-svscanctl", "s6-svstat"],
            Tool::Supervisord => &["supervisord", "supervisorctl"],
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        programs.iter().copied().find(|program| !std::env::split_paths(&path).any(|dir| dir.join(program).exists()))
    }

    /// How many of so many services it can hold.
    pub(super) fn holds(self, count: usize) -> usize {
        match self {
            // Fixed in the source of runsvdir.
            Tool::Runit => count.min(1_000),
            Tool::S6 => count.min(S6_MOST),
            Tool::Supervisord => count,
        }
    }

    /// Writes what it reads: so many services, without a shell between it and them.
    pub(super) fn lay(self, place: &Place, births: &Births, count: usize) -> Fallible<()> {
        match self {
            Tool::Runit | Tool::S6 => (0..count).try_for_each(|slot| service_dir(place, births, slot)),
            Tool::Supervisord => {
                let [file, _] = births.words(0);
                let program = place.service_program();
                place.write(CONFIGURATION, &supervisord(&place.file("supervisor").display(), &program.display(), &file, count))?;
                Ok(())
            }
        }
    }

    pub(super) fn supervisor(self, place: &Place) -> Command {
        let mut command = match self {
            Tool::Runit => place.program("runsvdir"),
            Tool::S6 => place.program("s6-svscan"),
            Tool::Supervisord => place.program("supervisord"),
        };
        match self {
            Tool::Runit => command.arg(place.file(SERVICES)),
            Tool::S6 => command.args(["-c", &S6_MOST.to_string()]).arg(place.file(SERVICES)),
            Tool::Supervisord => command.args(["-n", "-c", CONFIGURATION]),
        };
        command.stderr(std::process::Stdio::null());
        command
    }

    pub(super) fn status_of_one(self, place: &Place, slot: usize) -> Command {
        match self {
            Tool::Runit => with_args(place, "sv", ["status".into(), dir(place, slot)]),
            Tool::S6 => with_args(place, "s6-svstat", [dir(place, slot)]),
            Tool::Supervisord => with_args(place, "supervisorctl", ["-c".into(), CONFIGURATION.into(), "status".into(), name(slot).into()]),
        }
    }

    /// Nothing if it has no command for that.
    pub(super) fn status_of_all(self, place: &Place, count: usize) -> Option<Command> {
        match self {
            Tool::Runit => Some(with_args(place, "sv", [PathBuf::from("status")].into_iter().chain((0..count).map(|slot| dir(place, slot))))),
            Tool::S6 => None,
            Tool::Supervisord => Some(with_args(place, "supervisorctl", ["-c", CONFIGURATION, "status"].map(PathBuf::from))),
        }
    }

    pub(super) fn stop_all(self, place: &Place, count: usize) -> Command {
        match self {
            Tool::Runit => with_args(place, "sv", [PathBuf::from("down")].into_iter().chain((0..count).map(|slot| dir(place, slot)))),
            Tool::S6 => with_args(place, "s6-svscanctl", [PathBuf::from("-t"), place.file(SERVICES)]),
            Tool::Supervisord => with_args(place, "supervisorctl", ["-c", CONFIGURATION, "stop", "all"].map(PathBuf::from)),
        }
    }
}

/// Where runit and s6 find their services.
const SERVICES: &str = "services";
/// What s6-svscan is told to hold; without a number that is 500.
const S6_MOST: usize = 4_000;

const CONFIGURATION: &str = "supervisord.conf";

fn with_args(place: &Place, program: &str, args: impl IntoIterator<Item = PathBuf>) -> Command {
    let mut command = place.program(program);
    command.args(args);
    command
}

fn dir(place: &Place, slot: usize) -> PathBuf {
    place.file(SERVICES).join(format!("idle-{slot:05}"))
}

fn service_dir(place: &Place, births: &Births, slot: usize) -> Fallible<()> {
    let (dir, [file, number]) = (dir(place, slot), births.words(slot));
    fs::create_dir_all(&dir)?;
    symlink(place.service_program(), dir.join("run"))?;
    symlink(file, dir.join("births"))?;
    symlink(number, dir.join("slot"))?;
    Ok(())
}

fn name(slot: usize) -> String {
    format!("idle:idle_{slot:05}")
}

fn supervisord(dir: &dyn std::fmt::Display, program: &dyn std::fmt::Display, births: &str, count: usize) -> String {
    // Four descriptors for each service, and some.
    let descriptors = 4 * count + 100;
    format!(
        "[unix_http_server]\nfile={dir}.sock\n\
         [supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={dir}.pid\nminfds={descriptors}\n\
         [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
         [supervisorctl]\nserverurl=unix://{dir}.sock\n\
         [program:idle]\ncommand={program} {births} %(process_num)d\nnumprocs={count}\nprocess_name=%(program_name)s_%(process_num)05d\n\
         autorestart=true\nstdout_logfile=NONE\nstderr_logfile=NONE\n"
    )
}
