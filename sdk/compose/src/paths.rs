//! Paths and names, as texts.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// `.` and `..` worked out, on paper alone.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            Component::ParentDir if plain.has_root() => {}
            part => plain.push(part),
        }
    }
    plain
}

/// `path`, which is seen from `dir`, as it is seen from `out_dir`: `./data`, `../conf/x`. Both directories are absolute.
pub(crate) fn seen_from(path: &str, dir: &Path, out_dir: &Path) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let (target, out_dir) = (plain(&dir.join(path)), plain(out_dir));
    let shared = target.components().zip(out_dir.components()).take_while(|(a, b)| a == b).count();
    let up = out_dir.components().count() - shared;
    let down: Vec<String> = target.components().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    let mut parts = vec![".."; up];
    parts.extend(down.iter().map(String::as_str));
    match (up, parts.is_empty()) {
        (_, true) => ".".to_owned(),
        (0, false) => format!("./{}", parts.join("/")),
        _ => parts.join("/"),
    }
}

/// A project's name by Compose's rule: lower case letters, digits, `-` and `_`, a letter or digit first.
pub(crate) fn project(name: &str) -> String {
    let kept: String = name.to_lowercase().chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_')).collect();
    let kept = kept.trim_start_matches(['-', '_']);
    if kept.is_empty() { "default".to_owned() } else { kept.to_owned() }
}

/// A service's name by the host's rule, unlike all that are taken.
pub(crate) fn service(name: &str, taken: &mut BTreeSet<String>) -> String {
    const LONGEST: usize = 63;
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let replaced: String = name.to_lowercase().chars().map(|c| if good(c) { c } else { '-' }).collect();
    let trimmed = replaced.trim_start_matches(['-', '_']);
    let base = if trimmed.is_empty() { "service" } else { &trimmed[..trimmed.len().min(LONGEST)] };
    let mut found = base.to_owned();
    let mut number = 2;
    while !taken.insert(found.clone()) {
        let end = format!("-{number}");
        found = format!("{}{end}", &base[..base.len().min(LONGEST - end.len())]);
        number += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_seen_from_where_the_service_file_is() {
        for (path, dir, out, seen) in [
            ("./data", "/srv/shop", "/srv/shop", "./data"),
            ("data/x/", "/srv/shop", "/srv/shop", "./data/x"),
            (".", "/srv/shop", "/srv/shop", "."),
            ("../x", "/srv/shop", "/srv/shop", "../x"),
            ("./data", "/srv/shop", "/srv/shop/deploy", "../data"),
            ("./data", "/srv/shop/a", "/srv/shop", "./a/data"),
            ("../../../../x", "/srv", "/srv", "../x"),
            ("/etc/x", "/srv", "/", "/etc/x"),
        ] {
            assert_eq!(seen_from(path, Path::new(dir), Path::new(out)), seen, "{path}");
        }
    }

    #[test]
    fn names_are_made_valid_and_stay_apart() {
        let mut taken = BTreeSet::new();
        for (name, made) in
            [("web", "web"), ("Web", "web-2"), ("my.db", "my-db"), ("_x", "x"), ("...", "service"), ("é", "service-2"), ("WEB", "web-3")]
        {
            assert_eq!(service(name, &mut taken), made, "{name}");
        }
        let long = "x".repeat(80);
        assert_eq!(service(&long, &mut taken).len(), 63);
        assert!(service(&long, &mut taken).ends_with("x-2"));
        assert_eq!((project("My Shop!").as_str(), project("-_").as_str()), ("myshop", "default"));
    }
}
