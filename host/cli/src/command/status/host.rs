//! The host, for people.

use hostler_api::{HostInfo, KeeperInfo, Listening};

use super::Lines;
use crate::context::Context;
use crate::error::Error;
use crate::out::{Colour, elapsed, health_colour, visible};

pub(super) fn show(host: &HostInfo, context: &Context) -> Result<(), Error> {
    let paint = context.out.paint;
    let state = match (host.shutting_down, host.ready, host.initialized) {
        (true, _, _) => paint.of(Colour::Yellow, "shutting down"),
        (false, true, _) => paint.of(Colour::Green, "ready"),
        (false, false, true) => paint.of(Colour::Yellow, "not ready"),
        (false, false, false) => paint.of(Colour::Yellow, "looking at what an earlier host left"),
    };
    let mut lines = Lines::new(format!("{} {} is {state}", paint.of(Colour::Bold, "hostler"), visible(&host.hostler_version)));
    lines.add("state", visible(&host.state_dir));
    lines.add("pid", format!("{}, up {}", host.pid, elapsed(host.uptime_ms)));
    lines.add("health", paint.of(health_colour(host.composite_health), host.composite_health.as_str()));
    let services: Vec<String> = host.services.iter().map(|(status, count)| format!("{count} {}", status.as_str())).collect();
    lines.add("services", if services.is_empty() { "none".to_owned() } else { services.join(", ") });
    lines.add("keeper", keeper(&host.keeper));
    lines.add("limits", limits(&host.keeper));
    lines.add("plugins", plugins(host));
    if let Some(door) = &host.listening {
        lines.add("listening", listening(door));
    }
    lines.add("owner", visible(&host.owner));
    context.out.line(lines.0)
}

fn keeper(keeper: &KeeperInfo) -> String {
    match (keeper.running, keeper.pid) {
        (true, Some(pid)) => format!("running, pid {pid}"),
        (true, None) => "running".to_owned(),
        (false, _) => "not there: it was lost, and another one is being started".to_owned(),
    }
}

fn limits(keeper: &KeeperInfo) -> String {
    match (keeper.limits, keeper.limits_note.as_deref()) {
        (Some(true), _) => "cpu and memory limits are applied".to_owned(),
        (Some(false), Some(why)) => format!("cpu and memory limits are not applied: {}", visible(why)),
        (Some(false), None) => "cpu and memory limits are not applied".to_owned(),
        (None, _) => "not known yet".to_owned(),
    }
}

fn listening(door: &Listening) -> String {
    let protected = if door.tls { " with TLS" } else { "" };
    let trouble = door.trouble.as_deref().map(|trouble| format!(": {}", visible(trouble))).unwrap_or_default();
    match door.open {
        true => format!("{}{protected}{trouble}", visible(&door.address)),
        false => format!("not on {}{protected}{trouble}", visible(&door.address)),
    }
}

fn plugins(host: &HostInfo) -> String {
    let counts = host.plugins;
    let mut text = format!("{} loaded", counts.ok);
    for (count, what) in [(counts.missing, "missing"), (counts.refused, "refused")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what} (`hostler plugin list` says why)"));
        }
    }
    text
}
