//! The same on another host: the archive goes over in parts, is unpacked there, and the task does the rest by itself.
//!
//! What takes long runs detached within the task, in front of the program (`sh/run.sh`): hooks, switch, health check, way back. A link that
//! is lost stops none of it, and a start that is repeated finds it.

use crate::install::who;
use crate::release::Package;
use crate::settings::{Hook, Settings};
use hostler_package::{Kind, Manifest};
use hostler_remote::quote::{is_variable, one_word, word, words};
use hostler_remote::{Answer, Link, Remote, Reuse, Script, Spec};
use hostler_sdk::host::context;
use hostler_sdk::{Fault, Phase, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const PLACE: &str = include_str!("sh/place.sh");
const RUN: &str = include_str!("sh/run.sh");

/// Bytes of an archive that one round trip takes along: four times as many go through the plugin's memory.
const PART: usize = 3 << 20;

/// What a start keeps for its own way back.
const MARGIN: Duration = Duration::from_secs(5);

/// Brings a release over, and starts the task that installs and runs it.
pub(crate) fn start(task: &Task<Settings>, link: &Link, reuse: &Reuse, slot: &str) -> Result<(), Fault> {
    let remote = Remote::only(link, reuse);
    let package = Package::open(&task.settings)?;
    let manifest = &package.contents.manifest;
    if let Some(name) = manifest.env.keys().find(|name| !is_variable(name)) {
        return Err(Fault::invalid("/package", format!("its manifest sets `{name}`, which a shell cannot: no package for another host")));
    }
    let place =
        Place { remote, package: &package, root: task.settings.install_path.trim_end_matches('/'), slot, release: package.contents.release() };
    // what is there already is not installed again, whatever has become of the release
    if matches!(remote.inspect(&[&task.id.id])?.first().map(|status| &status.phase), Some(Phase::Gone)) {
        place.put()?;
    }
    let directory = format!("{}/releases/{}", place.root, place.release);
    let script = place.run(task);
    let binary = format!("{directory}/{}", manifest.binary);
    let env = all(&[&task.env, &manifest.env.clone().into_iter().collect::<Vec<_>>(), &own(&task.settings)]);
    remote.start(&Spec {
        id: &task.id.id,
        digest: &one_word(&task.spec_digest),
        slot,
        run: task.id.run,
        binary: &binary,
        args: &[],
        env: env.into_iter().filter(|(name, _)| name == "PATH").collect(),
        directory: Some(&directory),
        log_bytes: 8 << 20,
        log_files: 4,
        note: "",
        script: Some(&script),
        wait: context::remaining().saturating_sub(MARGIN / 2),
    })
}

/// A release on its way.
struct Place<'a> {
    remote: Remote<'a>,
    package: &'a Package,
    root: &'a str,
    slot: &'a str,
    release: String,
}

impl Place<'_> {
    /// Goes on where an upload that was cut off has ended.
    fn put(&self) -> Result<(), Fault> {
        let size = self.package.contents.packed_bytes;
        let mut there = self.ask("state\n")?;
        while let Some(at) = there {
            there = if at < size { self.ask(&self.part(at)?)? } else { self.ask(&self.unpack())? };
            if at >= size && there.is_some() {
                return Err(Fault::unavailable(format!("{} could not unpack it", self.remote.link.name())));
            }
        }
        Ok(())
    }

    /// How many bytes are there; nothing when all of it is, unpacked.
    fn ask(&self, what: &str) -> Result<Option<u64>, Fault> {
        let names = format!("root={} slot={} release={}\n", word(self.root), word(self.slot), word(&self.release));
        let answer = self.remote.call(&Script::of(format!("{names}{PLACE}\nif [ -n \"$up\" ]; then\n{what}fi\n")))?;
        if let Some(why) = answer.line("refused") {
            return Err(self.refused(why));
        }
        match answer.line("at") {
            Some([at]) => at.parse().map(Some).map_err(|_| strange(&answer)),
            _ if answer.line("whole").is_some() => Ok(None),
            _ => Err(strange(&answer)),
        }
    }

    fn part(&self, at: u64) -> Result<String, Fault> {
        let bytes = self.package.read(at, PART)?;
        if bytes.is_empty() {
            return Err(Fault::unavailable("the package became shorter while it was read"));
        }
        Ok(format!("add {at} <<'HOSTLER_PART'\n{}HOSTLER_PART\n", base64(&bytes)))
    }

    /// The names of all entries go along: whatever unpacks them there must make of the archive what was checked here.
    fn unpack(&self) -> String {
        let contents = &self.package.contents;
        let mut names = BTreeSet::new();
        for entry in &contents.entries {
            let kind = match entry.kind {
                Kind::File { .. } => 'f',
                Kind::Directory => 'd',
                Kind::Link(_) => 'l',
            };
            names.insert(format!("{kind} {}", entry.path));
            names.extend(entry.path.match_indices('/').map(|(at, _)| format!("d {}", &entry.path[..at])));
        }
        let names: String = names.into_iter().map(|name| name + "\n").collect();
        let Manifest { binary, args, env, .. } = &contents.manifest;
        let launch =
            format!("{}program() {{ exec \"$PWD\"/{} {} \"$@\"; }}\n", exports(env.iter()), word(binary), words(args.iter().map(String::as_str)));
        format!(
            "expected() {{\ncat <<'HOSTLER_NAMES'\n{names}HOSTLER_NAMES\n}}\nlaunch_text() {{\nprintf %s {}\n}}\nunpack {}\n",
            word(&launch),
            contents.sha256
        )
    }

    /// What the first process of the task does: values of variables are nowhere but in here.
    fn run(&self, task: &Task<Settings>) -> String {
        let settings = &task.settings;
        let limit = context::remaining().saturating_sub(MARGIN).as_millis() / 10;
        let first = all(&[&task.env, &[("HOSTLER_TASK".to_owned(), task.id.id.clone())]]);
        let last = all(&[&who(&task.id), &own(settings)]);
        format!(
            "root={root} slot={slot} release={release} span={limit} keep={keep} rollback={rollback} health={health}\n\
             first() {{\n:\n{first}}}\nlast() {{\n:\n{last}}}\n{before}{after}set -- {args}\n{RUN}",
            root = word(self.root),
            slot = word(self.slot),
            release = word(&self.release),
            keep = settings.keep,
            rollback = u8::from(settings.rollback),
            health = settings.health_timeout,
            first = exports(first.iter()),
            last = exports(last.iter()),
            before = hooks("hooks_before", "pre_install", &settings.pre_install),
            after = hooks("hooks_after", "post_install", &settings.post_install),
            args = words(settings.args.iter().map(|arg| arg.0.as_str())),
        )
    }

    fn refused(&self, why: &[String]) -> Fault {
        let host = self.remote.link.name();
        match why.first().map_or("", String::as_str) {
            "directory" => Fault::invalid("/install_path", format!("{host} has no such directory that its user may write to")),
            "digest" => Fault::unavailable(format!("what arrived at {host} is not what was sent; it goes over again")),
            "unpacked" => Fault::unavailable(format!("{host} did not make of it what is in it: its disk is full, or its tar is another")),
            _ => Fault::unavailable(format!("{host} cannot write to {}: its disk is full", self.root)),
        }
    }
}

fn strange(answer: &Answer) -> Fault {
    Fault::Interrupted(format!("its host said {:?}", answer.lines))
}

/// The later wins; what a shell cannot set stays away.
fn all(lists: &[&[(String, String)]]) -> BTreeMap<String, String> {
    lists.iter().flat_map(|list| list.iter()).filter(|(name, _)| is_variable(name)).cloned().collect()
}

fn own(settings: &Settings) -> Vec<(String, String)> {
    settings.env.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect()
}

fn exports<'a>(env: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    env.map(|(name, value)| format!("export {name}={}\n", word(value))).collect()
}

/// A function that runs these one after the other, until one fails.
fn hooks(function: &str, list: &str, hooks: &[Hook]) -> String {
    let steps = hooks.iter().enumerate().map(|(nth, hook)| {
        let line = hook.words();
        format!("step {list}/{nth} {} || return 1\n", words(line.iter().map(String::as_str)))
    });
    format!("{function}() {{\n:\n{}}}\n", steps.collect::<String>())
}

/// Lines of 76 characters, as `base64` writes them.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() / 57 * 77 + 80);
    for line in bytes.chunks(57) {
        for three in line.chunks(3) {
            let number = three.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
            for place in 0..4 {
                let digit = DIGITS[(number >> (18 - 6 * place)) as usize & 63];
                text.push(if place <= three.len() { char::from(digit) } else { '=' });
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_what_everybody_reads() {
        assert_eq!(base64(b""), "");
        assert_eq!([base64(b"f"), base64(b"fo"), base64(b"foo"), base64(b"foob")], ["Zg==\n", "Zm8=\n", "Zm9v\n", "Zm9vYg==\n"]);
        assert_eq!(base64(&[0xff; 60]).lines().map(str::len).collect::<Vec<_>>(), [76, 4]);
    }
}
