//! Which names an archive may give its entries.

/// Bytes of a whole path: what a tar header has room for.
const LONGEST: usize = 255;

/// The top-level directories of a package, beside its manifest.
const FOLDERS: [&str; 5] = ["bin", "config", "scripts", "lib", "data"];

/// Why a path cannot stand in a package; nothing when it can.
///
/// ```
/// assert!(hostler_package::refuse_path("bin/server").is_none());
/// assert!(hostler_package::refuse_path("../etc/passwd").is_some());
/// ```
pub fn refuse_path(path: &str) -> Option<&'static str> {
    if path.is_empty() || path.len() > LONGEST {
        return Some("a path has 1 to 255 bytes");
    }
    if path.starts_with('/') {
        return Some("an absolute path");
    }
    if path.bytes().any(|byte| byte < b' ' || byte == 127 || byte == b'\\') {
        return Some("a control character or a backslash in a path");
    }
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Some("`.`, `..` or nothing as a part of a path");
    }
    let first = path.split('/').next().unwrap_or_default();
    if path != "manifest.yaml" && !FOLDERS.contains(&first) {
        return Some("only manifest.yaml, bin, config, data, lib and scripts belong into a package");
    }
    None
}

/// Does a link at `path` that says `target` stay within the package?
pub fn is_inside(path: &str, target: &str) -> bool {
    resolve(path, target).is_some()
}

/// Where a link leads, as a path of the package; nothing when it leads out, or says something that is no path.
pub(crate) fn resolve(path: &str, target: &str) -> Option<String> {
    if target.is_empty() || target.starts_with('/') || target.bytes().any(|byte| byte < b' ' || byte == 127) {
        return None;
    }
    let mut at: Vec<&str> = path.split('/').collect();
    at.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                at.pop()?;
            }
            name => at.push(name),
        }
    }
    let path = at.join("/");
    refuse_path(&path).is_none().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_walk_are_refused() {
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "bin/../../x",
            "bin/..",
            "./bin/x",
            "bin//x",
            "bin/",
            "bin/a\nb",
            "bin\\..\\x",
            "etc/x",
            "manifest.yaml/x",
            "x",
        ] {
            assert!(refuse_path(path).is_some(), "{path:?}");
        }
        assert!(refuse_path(&format!("bin/{}", "x".repeat(252))).is_some());
        for path in ["manifest.yaml", "bin/server", "lib/a/b.so.1", "config/ä", "data/x..y"] {
            assert!(refuse_path(path).is_none(), "{path:?}");
        }
    }

    #[test]
    fn links_lead_to_the_package_or_nowhere() {
        assert_eq!(resolve("lib/libx.so", "libx.so.1").as_deref(), Some("lib/libx.so.1"));
        assert_eq!(resolve("bin/a", "../lib/./b").as_deref(), Some("lib/b"));
        for target in ["/etc/passwd", "../../etc/passwd", "..", "../etc/x", "", "a\nb", "../../bin/../../x"] {
            assert_eq!(resolve("bin/a", target), None, "{target:?}");
        }
    }
}
