//! What systemd knows of units, as `systemctl show` prints it.

use std::collections::BTreeMap;

use crate::engine::{Scope, Trouble};
use crate::time;

/// Everything that is asked of a unit, in one call for many.
const PROPERTIES: &str = "Id,Names,Description,LoadState,ActiveState,Result,InvocationID,MainPID,ExecMainPID,ExecMainCode,ExecMainStatus,\
ExecMainStartTimestamp,ExecMainExitTimestamp,StateChangeTimestamp,ActiveEnterTimestampMonotonic,CPUUsageNSec,MemoryCurrent,MemoryMax,MemoryLimit,TasksCurrent";

/// Units of one call: their names have to fit into its arguments.
const AT_ONCE: usize = 500;

/// One unit, by systemd's own names for its properties.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    properties: BTreeMap<String, String>,
}

/// Looks at units by name, and at all that match a pattern; each once.
pub(crate) fn show(scope: Scope, names: &[&str]) -> Result<Vec<Unit>, Trouble> {
    let mut units = Vec::new();
    for names in names.chunks(AT_ONCE) {
        let properties = format!("--property={PROPERTIES}");
        let words: Vec<&str> = ["show", "--all", "--timestamp=us+utc", &properties, "--"].into_iter().chain(names.iter().copied()).collect();
        units.extend(parse(&scope.systemctl(&words)?));
    }
    Ok(units)
}

/// Looks at one unit.
pub(crate) fn show_one(scope: Scope, name: &str) -> Result<Unit, Trouble> {
    Ok(show(scope, &[name])?.into_iter().next().unwrap_or_default())
}

fn parse(text: &str) -> Vec<Unit> {
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    let unit =
        |block: &str| Unit { properties: block.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect() };
    blocks.map(unit).collect()
}

impl Unit {
    fn get(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", String::as_str)
    }

    /// A number; nothing where systemd says that there is none.
    fn number(&self, name: &str) -> Option<u64> {
        self.get(name).parse().ok().filter(|number| *number != u64::MAX)
    }

    /// Its name.
    pub(crate) fn id(&self) -> &str {
        self.get("Id")
    }

    /// Is it called so? A unit may have several names.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.id() == name || self.get("Names").split(' ').any(|other| other == name)
    }

    pub(crate) fn description(&self) -> &str {
        self.get("Description")
    }

    /// Does systemd know it at all?
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self.get("LoadState"), "" | "not-found")
    }

    pub(crate) fn load_state(&self) -> &str {
        self.get("LoadState")
    }

    pub(crate) fn active_state(&self) -> &str {
        self.get("ActiveState")
    }

    pub(crate) fn result(&self) -> &str {
        self.get("Result")
    }

    /// Is something of it alive, or about to be?
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.active_state(), "active" | "activating" | "reloading" | "deactivating" | "refreshing")
            || self.tasks().is_some_and(|tasks| tasks > 0)
    }

    /// Did it fail before its program ran? One that ends at once may have, too, before systemd saw it active; the exit codes of the steps before a
    /// program tell (systemd.exec(5)).
    pub(crate) fn never_ran(&self) -> bool {
        let before = matches!(self.end(), None | Some(End::Code(200..=245)));
        before && self.active_state() == "failed" && self.number("ActiveEnterTimestampMonotonic") == Some(0)
    }

    /// Which life of the unit this is; nothing when systemd has forgotten it, or it never lived.
    pub(crate) fn invocation(&self) -> Option<&str> {
        Some(self.get("InvocationID")).filter(|id| !id.is_empty())
    }

    pub(crate) fn pid(&self) -> Option<u64> {
        self.number("MainPID").filter(|pid| *pid != 0)
    }

    /// Its first process ended: by itself with a code, or by a signal.
    pub(crate) fn end(&self) -> Option<End> {
        let status = i32::try_from(self.number("ExecMainStatus")?).ok()?;
        match self.get("ExecMainCode") {
            "1" => Some(End::Code(status)),
            "2" | "3" => Some(End::Signal(status)),
            _ => None,
        }
    }

    pub(crate) fn started_at(&self) -> Option<u64> {
        time::millis(self.get("ExecMainStartTimestamp"))
    }

    pub(crate) fn ended_at(&self) -> Option<u64> {
        time::millis(self.get("ExecMainExitTimestamp")).or_else(|| self.changed_at())
    }

    /// When it began to be what it is.
    pub(crate) fn changed_at(&self) -> Option<u64> {
        time::millis(self.get("StateChangeTimestamp"))
    }

    pub(crate) fn cpu_nanos(&self) -> Option<u64> {
        self.number("CPUUsageNSec")
    }

    pub(crate) fn memory(&self) -> Option<u64> {
        self.number("MemoryCurrent")
    }

    pub(crate) fn memory_limit(&self) -> Option<u64> {
        self.number("MemoryMax").or_else(|| self.number("MemoryLimit"))
    }

    pub(crate) fn tasks(&self) -> Option<u64> {
        self.number("TasksCurrent")
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Code(i32),
    Signal(i32),
}

#[cfg(test)]
pub(crate) fn planted(properties: &[(&str, &str)]) -> Unit {
    Unit { properties: properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_block_by_block() {
        let units = parse("Id=a.service\nDescription=x=y [z]\nMainPID=7\n\nMainPID=0\nId=b.service\nCPUUsageNSec=[not set]\nMemoryMax=infinity\n");
        assert_eq!(units.iter().map(Unit::id).collect::<Vec<_>>(), ["a.service", "b.service"]);
        assert_eq!((units[0].description(), units[0].pid()), ("x=y [z]", Some(7)));
        assert_eq!((units[1].pid(), units[1].cpu_nanos(), units[1].memory_limit()), (None, None, None));
        assert!(parse("\n").is_empty());
    }

    #[test]
    fn a_number_that_stands_for_none_is_none() {
        assert_eq!(planted(&[("MemoryCurrent", "18446744073709551615")]).memory(), None);
        assert_eq!(planted(&[("TasksCurrent", "3")]).tasks(), Some(3));
    }

    #[test]
    fn a_program_that_ended_at_once_did_run() {
        let failed = |code: &str, status: &str, active: &str| {
            planted(&[("ActiveState", "failed"), ("ExecMainCode", code), ("ExecMainStatus", status), ("ActiveEnterTimestampMonotonic", active)])
                .never_ran()
        };
        assert!(failed("1", "203", "0") && failed("0", "0", "0"));
        assert!(!failed("1", "0", "0") && !failed("1", "3", "0") && !failed("2", "9", "0") && !failed("1", "203", "77"));
    }

    #[test]
    fn ends_are_told_apart() {
        let end = |code: &str, status: &str| planted(&[("ExecMainCode", code), ("ExecMainStatus", status)]).end();
        assert_eq!(end("1", "3"), Some(End::Code(3)));
        assert_eq!(end("2", "9"), Some(End::Signal(9)));
        assert_eq!(end("3", "11"), Some(End::Signal(11)));
        assert_eq!(end("0", "0"), None);
    }
}
