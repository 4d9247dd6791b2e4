//! Backend `ssh` and check `ssh-command`, against a real sshd on a machine of its own.

pub(crate) mod busybox;
mod check;
mod conformance;
pub(crate) mod cut;
mod lives;
mod refused;
mod strangers;

use hostler_e2e::{Yard, until_some};
use hostler_engines::{TestHost, User};

/// A yard whose host runs here, and another host that it reaches over ssh.
pub(crate) struct Far {
    pub(crate) yard: Yard,
    pub(crate) host: TestHost,
    user: &'static str,
}

impl Far {
    /// Both, or nothing where there is no engine.
    #[track_caller]
    pub(crate) fn boot() -> Option<Far> {
        let host = TestHost::boot()?;
        Some(Far { yard: Yard::new(), host, user: User::Deploy.name() })
    }

    /// The same two, with another user over there.
    pub(crate) fn user(self, user: &'static str) -> Far {
        Far { user, ..self }
    }

    /// The plugin's configuration, with its sockets in the yard.
    pub(crate) fn plugin(&self) -> String {
        format!("[plugins.ssh]\nconfig = {{ control_dir = {:?} }}\n", self.yard.file("c"))
    }

    /// How the other host is reached, as settings within a table.
    #[track_caller]
    pub(crate) fn link(&self) -> String {
        let known = self.host.known_hosts();
        format!(
            "host = \"127.0.0.1\", port = {}, user = {:?}, key_file = {:?}, known_hosts = {known:?}",
            self.host.ssh_port(),
            self.user,
            self.host.key_file()
        )
    }

    /// One service over there; `more` is the rest of its backend's settings.
    #[track_caller]
    pub(crate) fn service(&self, name: &str, more: &str) -> String {
        format!("[services.{name}]\nbackend = {{ type = \"ssh\", {}, {more} }}\nstop = {{ grace = \"3s\" }}\n", self.link())
    }

    /// Brings services up.
    #[track_caller]
    pub(crate) fn up(&self, services: &str) {
        self.yard.up(&format!("{}{services}", self.plugin()));
    }

    /// Takes services out of the file, so that nothing of them stays.
    #[track_caller]
    pub(crate) fn without(&self) {
        self.yard.config(&self.plugin());
        self.yard.run("apply").ok();
    }

    /// The processes over there whose command line is this one, words joined by blanks.
    #[track_caller]
    pub(crate) fn processes(&self, line: &str) -> Vec<u32> {
        let listed = self.host.run(&["ps", "-eo", "pid=,stat=,args="]).ok();
        let of = |row: &str| {
            let mut words = row.split_whitespace();
            let (pid, stat) = (words.next()?.parse().ok()?, words.next()?);
            (!stat.starts_with('Z') && words.collect::<Vec<_>>().join(" ") == line).then_some(pid)
        };
        listed.lines().filter_map(of).collect()
    }

    /// The one process with this command line.
    #[track_caller]
    pub(crate) fn process(&self, line: &str) -> u32 {
        let found = until_some(&format!("`{line}` runs over there"), || Some(self.processes(line)).filter(|found| !found.is_empty()));
        assert_eq!(found.len(), 1, "`{line}` runs more than once: {found:?}");
        found[0]
    }

    /// The directories of tasks over there.
    #[track_caller]
    pub(crate) fn tasks(&self) -> Vec<String> {
        let listed = self.host.sh("for home in /home/* /root /box/root; do ls -A $home/.local/state/hostler/*/ 2>/dev/null; done; true").ok();
        listed.lines().map(str::to_owned).collect()
    }

    /// Waits until nothing is left over there of any task, but what `may` be.
    #[track_caller]
    pub(crate) fn until_gone(&self, when: &str, may: impl Fn(&str) -> bool) {
        hostler_e2e::until_nothing(when, || {
            let left: Vec<String> = self.tasks().into_iter().filter(|task| !may(task)).collect();
            let listed = "for home in /home/* /root /box/root; do ls -lAR $home/.local/state/hostler 2>/dev/null; done; true";
            (!left.is_empty()).then(|| format!("left is {left:?}\n{}", self.host.sh(listed).ok()))
        });
    }

    /// Ends every connection that somebody has over there, as a broken wire would.
    #[track_caller]
    pub(crate) fn cut(&self) {
        self.host.sh(CUT).ok();
    }

    /// Nothing comes through any more; what is connected hangs.
    #[track_caller]
    pub(crate) fn drop_packets(&self) {
        self.host.run(&["iptables", "-I", "INPUT", "-p", "tcp", "--dport", "22", "-j", "DROP"]).ok();
    }

    /// Packets come through again.
    #[track_caller]
    pub(crate) fn pass_packets(&self) {
        self.host.run(&["iptables", "-D", "INPUT", "-p", "tcp", "--dport", "22", "-j", "DROP"]).ok();
    }
}

/// Kills the sshd of each session, and not the one that listens.
const CUT: &str = r#"for p in /proc/[0-9]*; do
  case "$(tr '\0' ' ' <"$p/cmdline" 2>/dev/null)" in "sshd: "*listener*) ;; "sshd: "*) kill -KILL "${p#/proc/}" 2>/dev/null ;; esac
done; true"#;
