//! `deploy`, and what older files say in its place: replicas, restarts, limits.

use super::{Members, Value, lost, put, service};
use crate::import::Import;
use crate::read::{Spot, Taking};
use crate::words;

/// The most replicas that one service may have.
const MOST_REPLICAS: i64 = 1_000;

/// `deploy`, of which each part is taken once.
pub(super) struct Deploy<'i> {
    table: Option<Taking<'i>>,
    /// The most processes there may be.
    pub(super) processes: Option<i64>,
}

impl<'i> Deploy<'i> {
    pub(super) fn new(import: &mut Import<'_>, spot: Option<Spot<'i>>) -> Deploy<'i> {
        Deploy { table: spot.map(|spot| Taking::new(&spot, import)), processes: None }
    }

    fn take(&mut self, key: &str) -> Option<Spot<'i>> {
        self.table.as_mut()?.take(key)
    }

    /// How many there are of it.
    pub(super) fn replicas(&mut self, import: &mut Import<'_>, service: &mut Taking<'i>) -> Option<Value> {
        let (scale, deployed) = (service.take("scale"), self.take("replicas"));
        if let Some(mode) = self.take("mode")
            && mode.word(import).is_some_and(|mode| mode != "replicated")
        {
            mode.note(
                import,
                "there is one machine here: so many replicas run as are asked for, or one",
                "write replicas = 3 where there should be more",
            );
        }
        let spot = deployed.or(scale)?;
        let number = spot.number(import)?;
        if !(0..=MOST_REPLICAS).contains(&number) {
            spot.mistake(import, format!("so many replicas there cannot be: 0 to {MOST_REPLICAS}"), "write a smaller number");
            return None;
        }
        (number != 1).then_some(Value::Int(number))
    }

    /// What follows an end. Compose does nothing unless it is told to; the host restarts unless it is told not to.
    pub(super) fn restart(&mut self, import: &mut Import<'_>, service: &mut Taking<'i>, oneshot: bool) -> Option<Value> {
        let (plain, policy) = (service.take("restart"), self.take("restart_policy"));
        let never = || Some(Value::Text("never".to_owned()));
        if let Some(spot) = plain {
            let word = spot.word(import)?;
            let (mode, attempts) = word.split_once(':').map_or((word.as_str(), None), |(mode, attempts)| (mode, Some(attempts)));
            let attempts = match attempts.map(str::parse::<u32>) {
                None => None,
                Some(Ok(number)) if mode == "on-failure" => Some(number),
                Some(_) => {
                    spot.mistake(import, "this is no restart policy", "write no, always, unless-stopped, on-failure or on-failure:3");
                    return None;
                }
            };
            return match mode {
                // YAML reads `no` as a text, as it should.
                "no" | "false" => never(),
                "always" | "unless-stopped" if oneshot => {
                    spot.note(import, "others wait until this service has ended well, so it is restarted only when it fails", "");
                    Some(policy_of(false, None, oneshot))
                }
                "always" | "unless-stopped" => Some(policy_of(true, None, oneshot)),
                "on-failure" => Some(policy_of(false, attempts, oneshot)),
                _ => {
                    spot.mistake(import, "this is no restart policy", "write no, always, unless-stopped, on-failure or on-failure:3");
                    None
                }
            };
        }
        match policy {
            Some(policy) => restart_policy(import, &policy, oneshot),
            None => never(),
        }
    }

    /// What it may use.
    pub(super) fn resources(&mut self, import: &mut Import<'_>, service: &mut Taking<'i>) -> Option<Value> {
        let (cpus, memory) = (service.take("cpus"), service.take("mem_limit"));
        let mut limits = self.limits(import);
        let mut limit = |key: &str| limits.as_mut().and_then(|limits| limits.take(key));
        let (cpus, memory, processes) = (limit("cpus").or(cpus), limit("memory").or(memory), limit("pids"));
        let mut resources = Members::new();
        if let Some(cpus) = cpus {
            let cores = cpus.read(import, words::cpu, "a number of cores", "write 0.5 or \"2\"").filter(|cores| *cores >= 0.001);
            put(&mut resources, "cpu", cores.map(Value::Float));
        }
        if let Some(memory) = memory.filter(|memory| memory.item.word() != Some("-1")) {
            let bytes = memory.bytes(import).filter(|bytes| *bytes > 0);
            put(&mut resources, "memory", bytes.map(|bytes| Value::Text(words::size(bytes))));
        }
        if let Some(processes) = processes {
            self.processes = processes.number(import).filter(|number| *number > 0);
        }
        if let Some(limits) = limits {
            lost::rest(import, limits, "there is no such limit here", "");
        }
        (!resources.is_empty()).then_some(Value::Table(resources))
    }

    fn limits(&mut self, import: &mut Import<'_>) -> Option<Taking<'i>> {
        let mut resources = Taking::new(&self.take("resources")?, import);
        let limits = resources.take("limits").map(|limits| Taking::new(&limits, import));
        if let Some(reservations) = resources.take("reservations") {
            let message = "nothing is reserved on one machine, and devices such as GPUs cannot be asked for";
            reservations.note(import, message, "give others limits, so that something is left");
        }
        lost::unknown(import, resources);
        limits
    }

    /// Labels of the service, not of its containers.
    pub(super) fn labels(&mut self, import: &mut Import<'_>) -> Option<Value> {
        let labels = self.take("labels").map(|spot| service::texts(import, &spot))?;
        (!labels.is_empty()).then_some(Value::Table(labels))
    }

    /// What is for clusters.
    pub(super) fn rest(self, import: &mut Import<'_>) {
        if let Some(table) = self.table {
            lost::rest(import, table, "this is for a cluster", "leave it out");
        }
    }
}

/// `restart` of the service file: always without a limit, or on failure.
fn policy_of(always: bool, attempts: Option<u32>, oneshot: bool) -> Value {
    let mut policy = Members::new();
    // What the host does by default.
    let default = always != oneshot;
    if !default {
        let word = if always { "always" } else { "on-failure" };
        put(&mut policy, "policy", Some(Value::Text(word.to_owned())));
    }
    let attempts = attempts.map_or(Value::Text("unlimited".to_owned()), |number| Value::Int(i64::from(number.min(1_000_000))));
    put(&mut policy, "max_attempts", Some(attempts));
    Value::Table(policy)
}

fn restart_policy(import: &mut Import<'_>, spot: &Spot<'_>, oneshot: bool) -> Option<Value> {
    let mut table = Taking::new(spot, import);
    let condition = table.take("condition").and_then(|spot| Some((spot.word(import)?, spot)));
    let (word, at) = condition.map_or(("any".to_owned(), spot.clone()), |(word, spot)| (word, spot));
    let attempts =
        table.take("max_attempts").and_then(|spot| spot.number(import)).and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
    let delay = table.take("delay").and_then(|spot| spot.millis(import));
    let window = table.take("window").and_then(|spot| spot.millis(import)).filter(|window| *window > 0);
    lost::unknown(import, table);
    let mut policy = match word.as_str() {
        "none" => return Some(Value::Text("never".to_owned())),
        "on-failure" => policy_of(false, attempts, oneshot),
        "any" => policy_of(!oneshot, attempts, oneshot),
        _ => {
            at.mistake(import, "this is no condition of a restart", "write none, on-failure or any");
            return None;
        }
    };
    if let Value::Table(members) = &mut policy {
        if let Some(delay) = delay {
            let text = Value::Text(words::span(delay));
            let backoff = vec![("initial".to_owned(), text.clone()), ("factor".to_owned(), Value::Int(1)), ("max".to_owned(), text)];
            put(members, "backoff", Some(Value::Table(backoff)));
        }
        put(members, "reset_after", window.map(|window| Value::Text(words::span(window))));
    }
    Some(policy)
}

/// `ulimits`: a number, or soft and hard.
pub(super) fn ulimits(import: &mut Import<'_>, spot: &Spot<'_>) -> Option<Value> {
    let mut limits = Members::new();
    for member in spot.members(import) {
        let name = member.name(spot);
        let value = if member.is_table() {
            let mut table = Taking::new(&member, import);
            let mut both = Members::new();
            for key in ["soft", "hard"] {
                put(&mut both, key, table.take(key).and_then(|spot| spot.number(import)).map(Value::Int));
            }
            lost::unknown(import, table);
            Some(Value::Table(both))
        } else {
            member.number(import).map(Value::Int)
        };
        put(&mut limits, &name, value);
    }
    (!limits.is_empty()).then_some(Value::Table(limits))
}
