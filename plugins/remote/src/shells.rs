//! The scripts themselves, run by the shells that other hosts have; `/proc` is this machine's.

use crate::Link;
use crate::answer::Answer;
use crate::script::Script;
use crate::task::Spec;
use hostler_sdk::backend::ExecCommand;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What comes at all has come by then: shells of a busy machine are slow, and tasks may be nicer than all others.
const PATIENCE: Duration = Duration::from_secs(300);
/// Time that a script has on this machine.
const WAIT: Duration = Duration::from_secs(120);
const SHELLS: [&[&str]; 3] = [&["/bin/sh"], &["bash", "--posix"], &["busybox", "sh"]];

/// A home of its own on this machine, and a shell that reads scripts there.
struct Home {
    dir: PathBuf,
    shell: &'static [&'static str],
}

impl Home {
    /// One per shell that this machine has.
    fn each() -> Vec<Home> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let there = SHELLS
            .into_iter()
            .filter(|shell| Command::new(shell[0]).args(&shell[1..]).args(["-c", ":"]).status().is_ok_and(|status| status.success()));
        there
            .map(|shell| {
                let dir = std::env::temp_dir().join(format!("hostler-remote-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
                fs::create_dir(&dir).expect("there is a temporary directory");
                Home { dir, shell }
            })
            .collect()
    }

    fn text(&self, script: &Script) -> String {
        let link: Link = serde_json::from_str(r#"{"host": "h"}"#).expect("it is one");
        script.text(&link, "own")
    }

    /// What the shell prints for this text.
    fn feed(&self, text: &str) -> Vec<u8> {
        // As sshd starts one: whoever runs tests in the background may have them ignore INT, and no shell can take that back.
        let mut command = Command::new("env");
        command
            .arg("--default-signal=INT,QUIT")
            .args(self.shell)
            .env("HOME", &self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("it was there before");
        child.stdin.take().expect("it was asked to be a pipe").write_all(text.as_bytes()).ok();
        child.wait_with_output().expect("it is our child").stdout
    }

    fn run(&self, script: &Script) -> Answer {
        let output = self.feed(&self.text(script));
        Answer::parse(&output).unwrap_or_else(|| panic!("{:?}: {}", self.shell, String::from_utf8_lossy(&output)))
    }

    fn start(&self, id: &str, script: &str) -> Answer {
        let args = ["-c".to_owned(), script.to_owned()];
        self.run(&Script::start(&Spec { args: &args, ..spec(id) }))
    }

    fn phase(&self, id: &str) -> String {
        self.run(&Script::phases(&[id])).line(id).map(|words| words.join(" ")).unwrap_or_default()
    }

    #[track_caller]
    fn until_exited(&self, id: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let phase = self.phase(id);
            if phase.starts_with("exited") {
                return phase.split(' ').take(3).collect::<Vec<_>>().join(" ");
            }
            assert!(Instant::now() < deadline, "{:?}: {id} is {phase}", self.shell);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn tasks(&self) -> Vec<String> {
        let own = self.dir.join(".local/state/hostler/own");
        fs::read_dir(own).into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for id in self.tasks() {
            self.feed(&self.text(&Script::remove(&id, true, Duration::from_secs(5))));
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn said(answer: &Answer, first: &str) -> String {
    answer.line(first).map(|words| words.join(" ")).unwrap_or_default()
}

fn spec(id: &str) -> Spec<'_> {
    Spec {
        id,
        digest: "d1",
        slot: id,
        run: 1,
        binary: "/bin/sh",
        args: &[],
        env: Vec::new(),
        directory: None,
        log_bytes: 65536,
        log_files: 2,
        note: "",
        script: None,
        wait: WAIT,
    }
}

#[test]
fn an_end_is_told_as_it_was() {
    for home in Home::each() {
        let ends = [
            ("exit 3", "exited code 3"),
            ("exit 143", "exited code 143"),
            ("kill -TERM $$; sleep 9", "exited signal 15"),
            ("kill -KILL $$", "exited signal 9"),
            ("exit 130", "exited status 130"),
        ];
        for (nth, (script, end)) in ends.into_iter().enumerate() {
            let id = format!("t-{nth}");
            home.start(&id, script);
            assert_eq!(home.until_exited(&id), end, "{:?}: {script}", home.shell);
        }
    }
}

#[test]
fn signals_are_as_a_program_expects_them() {
    for home in Home::each() {
        let ready = home.dir.join("ready");
        home.start("int", &format!("trap 'exit 7' INT; : >{}; while :; do sleep 0.05; done", ready.display()));
        // Before its trap is set, a signal is not the program's to hear.
        let deadline = Instant::now() + PATIENCE;
        while !ready.exists() {
            assert!(Instant::now() < deadline, "{:?}: it has not begun", home.shell);
            std::thread::sleep(Duration::from_millis(5));
        }
        home.run(&Script::send("int", "INT"));
        assert_eq!(home.until_exited("int"), "exited code 7", "{:?}", home.shell);
    }
}

#[test]
fn the_same_start_is_one_life_and_another_digest_is_refused() {
    for home in Home::each() {
        let first = home.start("t", "sleep 100");
        assert_eq!(said(&home.start("t", "sleep 100"), "t"), said(&first, "t"));
        let args = ["-c".to_owned(), "sleep 100".to_owned()];
        let other = home.run(&Script::start(&Spec { digest: "d2", args: &args, ..spec("t") }));
        assert_eq!(said(&other, "refused"), "digest d1");
        let later = home.run(&Script::start(&Spec { slot: "t", run: 2, args: &args, ..spec("u") }));
        assert_eq!(said(&later, "refused"), "earlier t", "one life per slot");
        let earlier = home.run(&Script::start(&Spec { slot: "t", run: 0, args: &args, ..spec("s") }));
        assert_eq!(said(&earlier, "refused"), "late t", "a start that comes late");
        assert_eq!(home.tasks(), ["t"]);
    }
}

#[test]
fn a_start_that_is_cut_off_anywhere_runs_nothing() {
    for home in Home::each() {
        let args = ["-c".to_owned(), "sleep 100".to_owned()];
        let text = home.text(&Script::start(&Spec { args: &args, ..spec("t") }));
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).filter(|at| *at + 2 < text.len()).collect();
        for end in ends.iter().step_by(7) {
            home.feed(&text[..*end]);
        }
        assert_eq!(home.tasks(), Vec::<String>::new(), "{:?}", home.shell);
    }
}

/// Processes of this machine whose command line has this word.
fn with_word(word: &str) -> usize {
    let lines = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.split(|byte| *byte == 0).any(|own| own == word.as_bytes())).count()
}

#[test]
fn a_command_is_ended_with_its_session_when_its_time_is_over() {
    for home in Home::each() {
        // the first one of a group of its own
        let program = ExecCommand {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), "set -m; sleep 98761.5 & sleep 98762.5".into()],
            env: Vec::new(),
            stdin: Vec::new(),
            deadline: Duration::from_millis(400),
        };
        let answer = home.run(&Script::beside(&program, None, 1000));
        assert!(said(&answer, "once").starts_with("late "), "{:?}: {}", home.shell, said(&answer, "once"));
        until_gone(&home, &["98761.5", "98762.5"]);
        assert_eq!(home.tasks(), Vec::<String>::new(), "{:?}", home.shell);
    }
}

#[track_caller]
fn until_gone(home: &Home, words: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    while words.iter().any(|word| with_word(word) > 0) {
        assert!(Instant::now() < deadline, "{:?}: something of it is alive", home.shell);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_command_of_a_task_ends_when_the_task_is_removed() {
    for home in Home::each() {
        home.start("t", "sleep 1000");
        let program = ExecCommand {
            program: "sleep".into(),
            args: vec!["98763.5".into()],
            env: Vec::new(),
            stdin: Vec::new(),
            deadline: Duration::from_secs(1000),
        };
        let text = home.text(&Script::inside("t", &program, 1000));
        std::thread::scope(|scope| {
            scope.spawn(|| home.feed(&text));
            let deadline = Instant::now() + PATIENCE;
            while with_word("98763.5") == 0 {
                assert!(Instant::now() < deadline, "{:?}: it has not begun", home.shell);
                std::thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(said(&home.run(&Script::remove("t", true, WAIT)), "t"), "gone");
            until_gone(&home, &["98763.5"]);
        });
    }
}

#[test]
fn nothing_that_ended_begins_again() {
    for home in Home::each() {
        home.start("t", "sleep 100");
        let stopped = home.run(&Script::stop("t", "TERM", Duration::from_secs(5), WAIT));
        assert!(stopped.line("t").is_some_and(|words| words[0] == "exited"), "{stopped:?}");
        assert!(home.start("t", "sleep 100").line("t").is_some_and(|words| words[0] == "exited"));
        for _ in 0..2 {
            assert_eq!(said(&home.run(&Script::remove("t", false, Duration::ZERO)), "t"), "gone");
        }
        // a start of which only the directory was made, by somebody who is dead
        let dir = home.dir.join(".local/state/hostler/own/half");
        fs::create_dir_all(&dir).expect("it is ours");
        fs::write(dir.join("spec"), "d1\nslot\n1\n999999999 1 nowhere\n\n").expect("it is ours");
        assert_eq!(home.phase("half"), "exited lost never - -");
        assert!(dir.join("supervisor").exists(), "its place is taken");
    }
}

#[test]
fn a_listing_takes_away_what_killed_shells_left() {
    for home in Home::each() {
        let own = home.dir.join(".local/state/hostler/own");
        // of a start whose shell is dead, of a removal whose shell is dead, and of one whose shell is still at it
        let at_it = format!(".gone.b.{}", std::process::id());
        for name in ["half", ".gone.a.999999999", &at_it] {
            fs::create_dir_all(own.join(name)).expect("it is ours");
            fs::write(own.join(name).join("run"), "").expect("it is ours");
        }
        home.run(&Script::list());
        assert_eq!(home.tasks(), [at_it], "{:?}", home.shell);
    }
}

#[test]
fn a_log_is_read_by_offsets_across_its_files() {
    for home in Home::each() {
        home.start("t", "i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i + 1)); done; printf last");
        home.until_exited("t");
        let page =
            |from: Option<(u64, u64)>| crate::log::chunk(&home.run(&Script::logs("t", from, 4 << 20)), from, from.is_none().then_some(3), true);
        let tail = page(None);
        let texts: Vec<String> = tail.lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect();
        assert_eq!(texts, ["line 29998", "line 29999", "last"], "{:?}", home.shell);
        let all = page(Some((5, 0)));
        assert!(all.gap, "the first file was rotated away");
        let numbers: Vec<u32> =
            all.lines.iter().filter_map(|line| std::str::from_utf8(&line.bytes).ok()?.strip_prefix("line ")?.parse().ok()).collect();
        assert!(numbers.len() > 1000 && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "no line is missing between files");
    }
}
