//! Files of `NAME=VALUE` lines beside the document, read into its services' `env`.

use std::path::Path;

use hostler_api::config::{absolute, is_env_name};
use hostler_core::{Problem, pointer_key};

use super::file;
use super::node::{Data, Key, Node};
use super::problems::Finding;

const MAX_BYTES: u64 = 1 << 20;

/// Replaces `env_file` in every service by what the file says; `env` wins over the file, and a later file over an earlier one.
pub(crate) fn inline(root: &mut Node, base_dir: &Path, findings: &mut Vec<Finding>) {
    let Some(services) = root.member_mut("services") else { return };
    for (key, service) in services.members_mut() {
        let at = format!("/services/{}/env_file", pointer_key(&key.text));
        let Data::Table(members) = &mut service.data else { continue };
        let Some(index) = members.iter().position(|(key, _)| key.text == "env_file") else { continue };
        let (name, node) = members.remove(index);
        let variables = read_named(&node, &at, base_dir, findings);
        if !members.iter().any(|(key, _)| key.text == "env") {
            members.push((Key { span: name.span.clone(), text: "env".to_owned() }, Node { span: node.span.clone(), data: Data::Table(Vec::new()) }));
        }
        let Some((_, Node { data: Data::Table(env), .. })) = members.iter_mut().find(|(key, _)| key.text == "env") else { continue };
        for (variable, value, span) in variables {
            if !env.iter().any(|(key, _)| key.text == variable) {
                env.push((Key { span: name.span.clone(), text: variable }, Node { span, data: Data::Text(value) }));
            }
        }
    }
}

type Variable = (String, String, std::ops::Range<usize>);

fn read_named(node: &Node, at: &str, base_dir: &Path, findings: &mut Vec<Finding>) -> Vec<Variable> {
    let files: Vec<(&Node, String)> = match &node.data {
        Data::List(items) => items.iter().enumerate().map(|(index, item)| (item, format!("{at}/{index}"))).collect(),
        _ => vec![(node, at.to_owned())],
    };
    let mut variables: Vec<Variable> = Vec::new();
    for (node, at) in files {
        let Data::Text(path) = &node.data else {
            findings.push(Finding::at(
                node.span.clone(),
                Problem::new(at, "`env_file` must be a file's path, or a list of them").hint("write env_file = \".env\""),
            ));
            continue;
        };
        let read = file::read_text(&absolute(path, base_dir), MAX_BYTES)
            .map_err(|why| (why.message, why.hint))
            .and_then(|text| parse(&text).map_err(|why| (why, None)));
        match read {
            Ok(lines) => {
                for (variable, value) in lines {
                    variables.retain(|(known, ..)| *known != variable);
                    variables.push((variable, value, node.span.clone()));
                }
            }
            Err((why, hint)) => {
                let mut problem = Problem::new(at, format!("env_file `{path}`: {why}"));
                problem.hint = hint.or(Some("each line is NAME=VALUE, a comment or empty".to_owned()));
                findings.push(Finding::at(node.span.clone(), problem));
            }
        }
    }
    variables
}

/// Reads the lines; a message names a line by its number, never by its content, which may be a secret.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut variables = Vec::new();
    let (mut rest, mut number) = (text, 0);
    while !rest.is_empty() {
        number += 1;
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            rest = after;
            continue;
        }
        let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=').ok_or_else(|| format!("line {number} has no `=`"))?;
        let name = Some(name.trim()).filter(|name| is_env_name(name)).ok_or_else(|| format!("line {number} has no good name before its `=`"))?;
        let value = value.trim_start();
        let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            variables.push((name.to_owned(), value.split(" #").next().unwrap_or("").trim_end().to_owned()));
            rest = after;
            continue;
        };
        // A quoted value may go on over lines.
        let start = rest.find('=').unwrap_or(0);
        let start = start + rest[start..].find(quote).unwrap_or(0) + 1;
        let end = start + closing(&rest[start..], quote).ok_or_else(|| format!("line {number} opens a quote that is never closed"))?;
        variables.push((name.to_owned(), unquote(&rest[start..end], quote)));
        number += rest[start..end].matches('\n').count();
        let (behind, after) = rest[end + 1..].split_once('\n').unwrap_or((&rest[end + 1..], ""));
        if !behind.trim().is_empty() && !behind.trim_start().starts_with('#') {
            return Err(format!("line {number} goes on behind its closing quote"));
        }
        rest = after;
    }
    Ok(variables)
}

/// Where the closing quote is; a backslash keeps a double quote open.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        if !escaped && c == quote {
            return Some(at);
        }
        escaped = quote == '"' && c == '\\' && !escaped;
        None
    })
}

fn unquote(text: &str, quote: char) -> String {
    if quote == '\'' {
        return text.to_owned();
    }
    let mut value = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, if c == '\\' { characters.next() } else { None }) {
            ('\\', Some('n')) => value.push('\n'),
            ('\\', Some('r')) => value.push('\r'),
            ('\\', Some('t')) => value.push('\t'),
            ('\\', Some(other @ ('"' | '\\' | '$'))) => value.push(other),
            ('\\', Some(other)) => value.extend(['\\', other]),
            (c, _) => value.push(c),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = parse(text).unwrap_or_else(|why| panic!("{text:?}: {why}"));
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn reads_the_lines_people_write() {
        check("", &[]);
        check("# only this\n\n", &[]);
        check("A=1\r\nexport B = two words # said\nC=\n", &[("A", "1"), ("B", "two words"), ("C", "")]);
        check("A='$x \\n'\nB=\"a\\nb \\\"c\\\" # kept\" # not\nC=a#b", &[("A", "$x \\n"), ("B", "a\nb \"c\" # kept"), ("C", "a#b")]);
        check("KEY=\"one\ntwo\"\nNEXT=3", &[("KEY", "one\ntwo"), ("NEXT", "3")]);
        check("URL=a=b\nURL=c", &[("URL", "a=b"), ("URL", "c")]);
        check("X=\"\"\nY=''", &[("X", ""), ("Y", "")]);
    }

    #[test]
    fn names_a_bad_line_and_never_what_it_says() {
        for (text, why) in [
            ("A=1\ncanary", "line 2 has no `=`"),
            ("1A=canary", "line 1 has no good name before its `=`"),
            ("A='x\ny'\n\nB=\"canary", "line 4 opens a quote that is never closed"),
            ("A=\"x\ny\" canary", "line 2 goes on behind its closing quote"),
        ] {
            assert_eq!(parse(text), Err(why.to_owned()));
        }
    }
}
