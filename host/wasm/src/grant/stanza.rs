//! The configuration to paste when a plugin imports what it was not granted.

use super::{Capability, needed};

/// The TOML that grants everything these imports need, as narrow as can be guessed, with a reason per line.
pub fn stanza_for(imports: &[String], name: &str) -> String {
    stanza_of(needed(imports.iter().map(String::as_str)), name)
}

/// The TOML that grants these capabilities, as [`stanza_for`] writes it.
pub fn stanza_of(capabilities: impl IntoIterator<Item = Capability>, name: &str) -> String {
    let mut text = format!("[plugins.{name}.grants]\n");
    for capability in capabilities {
        text.push_str(line(capability));
        text.push('\n');
    }
    text
}

fn line(capability: Capability) -> &'static str {
    match capability {
        Capability::Processes => r#"processes = { programs = ["/path/to/program"] }   # long-lived processes on this machine; "*" allows any"#,
        Capability::Commands => r#"commands = { programs = ["/path/to/program"] }   # short-lived commands on this machine; "*" allows any"#,
        Capability::Containers => {
            r#"containers = { default = { endpoint = "unix:///var/run/docker.sock" } }   # containers of an engine; `verbs`, `images`, `mounts` make it narrow"#
        }
        Capability::Http => r#"http = { hosts = ["http://127.0.0.1:*"] }   # HTTP requests, by URL prefix"#,
        Capability::Tcp => r#"tcp = { connect = ["127.0.0.1:*"] }   # TCP connections, by host and port"#,
        Capability::Filesystem => r#"filesystem = [{ path = "/path/to/directory", access = "read" }]   # directories of this machine"#,
        Capability::State => r#"state = { bytes = "1Mi", keys = 256 }   # a small durable memory"#,
        Capability::Secrets => r#"secrets = ["NAME"]   # secrets put into commands, processes and requests; the plugin does not see them"#,
        Capability::SecretsReveal => r#"secrets-reveal = ["NAME"]   # secrets whose values the plugin reads"#,
        Capability::TaskExec => "task-exec = true   # commands inside the checked task, through its backend",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_each_missing_grant_once() {
        let imports: Vec<String> =
            ["hostler:host/log@0.1.0", "wasi:http/types@0.2.0", "wasi:http/outgoing-handler@0.2.0", "hostler:host/state@0.1.0"]
                .map(str::to_owned)
                .into();
        let text = stanza_for(&imports, "probe");
        assert!(text.starts_with("[plugins.probe.grants]\n"), "{text}");
        assert_eq!(text.matches("http = ").count(), 1, "{text}");
        assert!(text.contains("state = "), "{text}");
        assert!(!text.contains("log"), "{text}");
    }
}
