//! Grants on the command line, and the question whether they are meant.

use std::io::{self, BufRead, IsTerminal, Write};

use serde_json::{Map, Value};

use crate::error::{Error, failed, usage};

/// Reads `CAPABILITY=VALUE`, as it stands in a TOML file.
pub(super) fn read(texts: &[String]) -> Result<Map<String, Value>, Error> {
    let mut grants = Map::new();
    for text in texts {
        let read = table(text).map_err(|why| {
            usage(format!("--grant `{text}` cannot be read: {why}"))
                .hint("write it as in the file: --grant 'commands = { programs = [\"/usr/bin/fuser\"] }'")
        })?;
        grants.extend(read);
    }
    Ok(grants)
}

/// What a stanza grants: `[plugins.NAME.grants]` and the lines below it.
pub(super) fn of_stanza(stanza: &str) -> Result<Map<String, Value>, Error> {
    let lines: Vec<&str> = stanza.lines().filter(|line| !line.starts_with('[')).collect();
    table(&lines.join("\n")).map_err(|why| failed(format!("the stanza is not understood: {why}")).into())
}

fn table(text: &str) -> Result<Map<String, Value>, String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    match serde_json::to_value(table).map_err(|error| error.to_string())? {
        Value::Object(map) => Ok(map),
        other => Err(format!("{other} is no table")),
    }
}

/// Asks on the terminal; where there is none, nobody has said yes.
pub(super) fn confirmed(question: &str) -> Result<bool, Error> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    let mut error = io::stderr();
    write!(error, "{question} [y/N] ").and_then(|()| error.flush()).map_err(Error::Output)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(Error::Output)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read_as_in_the_file() {
        let grants = read(&["commands = { programs = [\"/bin/true\"] }".to_owned(), "task-exec=true".to_owned()]).expect("two grants");
        assert_eq!(Value::Object(grants), serde_json::json!({ "commands": { "programs": ["/bin/true"] }, "task-exec": true }));
        assert!(read(&["commands".to_owned()]).is_err());
        let stanza = "[plugins.x.grants]\nstate = { bytes = \"1Mi\", keys = 256 }   # a small durable memory\n";
        assert_eq!(of_stanza(stanza).expect("a stanza")["state"]["keys"], 256);
    }
}
