//! The contract says what each of its words means.

use crate::{Problem, Tree};

/// Interfaces, worlds, types and functions of `wit/` without a `///` above them. A record's fields and an enum's cases may speak
/// for themselves; what they belong to may not.
pub fn problems(tree: &Tree) -> Vec<Problem> {
    let files = tree.files().filter(|file| file.is_in("wit") && !file.is_in("wit/deps") && file.path.ends_with(".wit"));
    files.flat_map(|file| undocumented(&file.path, &file.text)).collect()
}

fn undocumented(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut documented = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("///") {
            documented = true;
        } else if !line.starts_with('@') {
            if let Some(name) = item(line).filter(|_| !documented) {
                problems.push(Problem::at(path, at + 1, format!("{name} has no `///` that says what it promises")));
            }
            documented = false;
        }
    }
    problems
}

/// The name of what a line declares, when that needs a sentence.
fn item(line: &str) -> Option<&str> {
    let code = line.split("//").next().unwrap_or(line);
    let mut words = code.split_whitespace();
    let keyword = words.next()?;
    if matches!(keyword, "interface" | "world" | "record" | "variant" | "enum" | "flags" | "resource" | "type") {
        return Some(words.next()?.trim_end_matches(['{', ';']));
    }
    let (name, rest) = code.split_once(':')?;
    let rest = rest.trim_start();
    let is_function = ["func(", "func (", "static func", "async func"].iter().any(|head| rest.starts_with(head));
    is_function.then(|| name.trim())
}

#[cfg(test)]
mod tests {
    use super::problems;
    use crate::planted::{check, tree};

    #[test]
    fn what_has_no_sentence_is_found() {
        let text = "package a:b;\n\ninterface c {\n  /// Fine.\n  record d {\n    e: u8,\n  }\n  f: func() -> d;\n  /// Fine.\n  @since(version = 0.1.0)\n  %list: func();\n  enum g { h }\n}\n";
        check(problems(&tree(&[("wit/host/a.wit", text)])), &["a.wit:3: c has", "a.wit:8: f has", "a.wit:12: g has"]);
    }

    #[test]
    fn fields_and_imports_need_none() {
        let text = "/// A world.\nworld a {\n  use b.{c};\n  import d;\n  // type e\n  export f;\n}\n";
        check(problems(&tree(&[("wit/plugin/a.wit", text)])), &[]);
    }
}
