//! Directories, volumes and memory at paths within the container.

use hostler_sdk::Problem;
use hostler_sdk::host::containers::{Mount, MountKind};

use crate::written::{At, Problems, bytes, flag, noted, text};

const VOLUME: &str = "\"/on/the/host:/in/it\", \"./beside/the/file:/in/it:ro\", \"NAME:/in/it\" for a volume, or { source, target, read_only }";
const TMPFS: &str = "\"/run\", \"/run:size=64m\", or a table { \"/run\" = \"64Mi\" }";

/// Reads `volumes`. A path that begins with a dot is beside the service file, in `base`.
pub(crate) fn volumes(at: &At<'_>, base: Option<&str>, problems: &mut Problems) -> Vec<Mount> {
    let Some(items) = at.items() else {
        problems.push(at.wrong("is no list of volumes", VOLUME));
        return Vec::new();
    };
    items.filter_map(|item| if item.value.is_object() { table(&item, base, problems) } else { noted(spelled(&item, base), problems) }).collect()
}

/// `SOURCE:TARGET[:OPTIONS]`, or `TARGET` for a volume of the container's own.
fn spelled(at: &At<'_>, base: Option<&str>) -> Result<Mount, Problem> {
    let written = at.value.as_str().ok_or_else(|| at.wrong("is no volume", VOLUME))?;
    let parts: Vec<&str> = written.split(':').collect();
    let (from, to, options) = match parts.as_slice() {
        [to] => ("", *to, ""),
        [from, to] => (*from, *to, ""),
        [from, to, options] => (*from, *to, *options),
        _ => return Err(at.wrong(format!("`{}` has too many colons", written.escape_debug()), VOLUME)),
    };
    if parts.len() > 1 && from.is_empty() {
        return Err(at.wrong(format!("`{}` has no source", written.escape_debug()), VOLUME));
    }
    let mut read_only = false;
    for option in options.split(',').filter(|_| parts.len() == 3) {
        match option {
            "ro" => read_only = true,
            "rw" => {}
            other => return Err(at.wrong(format!("`{}` is no option of a volume", other.escape_debug()), "`ro` or `rw`")),
        }
    }
    let (kind, source) = source(at, from, base)?;
    Ok(Mount { kind, source, target: target(at, to)?, read_only, size_bytes: None })
}

/// `{ source, target, read_only, type, size }`
fn table(at: &At<'_>, base: Option<&str>, problems: &mut Problems) -> Option<Mount> {
    if !at.has_only(&["type", "source", "target", "read_only", "size"], problems) {
        return None;
    }
    let read_only = flag(at, "read_only", problems);
    let Some(to) = text(at, "target", problems) else {
        problems.push(at.wrong("`target` is missing", VOLUME));
        return None;
    };
    let target = noted(target(at, &to), problems)?;
    let named = text(at, "type", problems);
    let from = text(at, "source", problems).unwrap_or_default();
    let size = at.get("size");
    if named.as_deref() == Some("tmpfs") {
        if !from.is_empty() {
            problems.push(at.wrong("a tmpfs has no source", "leave `source` out"));
        }
        let size_bytes = size.and_then(|size| noted(bytes(&size), problems));
        return Some(Mount { kind: MountKind::Tmpfs, source: String::new(), target, read_only, size_bytes });
    }
    if let Some(size) = size {
        problems.push(size.wrong("only a tmpfs has a size", "leave it out, or set `type = \"tmpfs\"`"));
    }
    let (kind, source) = noted(source(at, &from, base), problems)?;
    let agrees = match named.as_deref() {
        None => true,
        Some("bind") => kind == MountKind::Bind,
        Some("volume") => kind == MountKind::Volume,
        Some(_) => false,
    };
    if !agrees {
        let kind = named.unwrap_or_default();
        problems.push(at.wrong(format!("`{}` is no `type` of this source", kind.escape_debug()), "bind takes a path, volume a name, tmpfs nothing"));
    }
    Some(Mount { kind, source, target, read_only, size_bytes: None })
}

/// Reads `tmpfs`.
pub(crate) fn tmpfs(at: &At<'_>, problems: &mut Problems) -> Vec<Mount> {
    if let Some(entries) = at.entries() {
        let one = |(path, size): (&str, At<'_>), problems: &mut Problems| {
            let bytes = if size.value.is_null() { None } else { Some(noted(bytes(&size), problems)?) };
            noted(memory(&size, path, bytes), problems)
        };
        return entries.filter_map(|entry| one(entry, problems)).collect();
    }
    if at.value.is_string() {
        return noted(spelled_tmpfs(at), problems).into_iter().collect();
    }
    let Some(items) = at.items() else {
        problems.push(at.wrong("is no list of paths", TMPFS));
        return Vec::new();
    };
    items.filter_map(|item| noted(spelled_tmpfs(&item), problems)).collect()
}

fn spelled_tmpfs(at: &At<'_>) -> Result<Mount, Problem> {
    let written = at.value.as_str().ok_or_else(|| at.wrong("is no path", TMPFS))?;
    let (path, options) = written.split_once(':').unwrap_or((written, ""));
    let mut mount = memory(at, path, None)?;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=').unwrap_or((option, "")) {
            ("size", size) => {
                let size = hostler_sdk::Value::String(size.to_owned());
                mount.size_bytes = Some(bytes(&At { value: &size, pointer: at.pointer.clone() })?);
            }
            ("ro", "") => mount.read_only = true,
            ("rw", "") => {}
            (other, _) => return Err(at.wrong(format!("`{}` is no option that is carried", other.escape_debug()), TMPFS)),
        }
    }
    Ok(mount)
}

fn memory(at: &At<'_>, path: &str, size_bytes: Option<u64>) -> Result<Mount, Problem> {
    Ok(Mount { kind: MountKind::Tmpfs, source: String::new(), target: target(at, path)?, read_only: false, size_bytes })
}

fn source(at: &At<'_>, from: &str, base: Option<&str>) -> Result<(MountKind, String), Problem> {
    if from.is_empty() {
        return Ok((MountKind::Volume, String::new()));
    }
    if from.starts_with('/') {
        return plain_path(at, from).map(|path| (MountKind::Bind, path));
    }
    if from == "." || from == ".." || from.starts_with("./") || from.starts_with("../") {
        let base = base.ok_or_else(|| at.wrong(format!("`{}` is a relative path", from.escape_debug()), "write an absolute one"))?;
        return plain_path(at, &format!("{base}/{from}")).map(|path| (MountKind::Bind, path));
    }
    if from.starts_with('~') {
        return Err(at.wrong(format!("`{}`: nothing expands `~`", from.escape_debug()), "write the whole path, or `${HOME}`"));
    }
    if !is_name(from) {
        return Err(at.wrong(format!("`{}` is neither a path nor a volume's name", from.escape_debug()), VOLUME));
    }
    Ok((MountKind::Volume, from.to_owned()))
}

fn target(at: &At<'_>, to: &str) -> Result<String, Problem> {
    if !to.starts_with('/') || to == "/" || to.split('/').any(|part| part == "..") || to.contains(['\0', '\n']) {
        return Err(at.wrong(format!("`{}` is no place within a container", to.escape_debug()), "an absolute path below `/`"));
    }
    Ok(to.to_owned())
}

/// An absolute path without `.` and `..`, by its text: what is a link is for the host to see.
fn plain_path(at: &At<'_>, path: &str) -> Result<String, Problem> {
    if path.contains(['\0', '\n']) {
        return Err(at.wrong(format!("`{}` is no path", path.escape_debug()), VOLUME));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

/// What Docker calls a volume, a network or a container.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    name.len() <= 255 && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::Value;

    fn shown(mounts: &[Mount]) -> Vec<String> {
        let one = |mount: &Mount| {
            let size = mount.size_bytes.map(|bytes| format!(" {bytes}")).unwrap_or_default();
            format!("{:?} {}>{}{}{size}", mount.kind, mount.source, mount.target, if mount.read_only { " ro" } else { "" })
        };
        mounts.iter().map(one).collect()
    }

    fn volumes_of(json: &str) -> (Vec<String>, Vec<String>) {
        let value: Value = json.parse().expect("the test writes JSON");
        let mut problems = Vec::new();
        let mounts = volumes(&At::new("/volumes", &value), Some("/srv/app"), &mut problems);
        (shown(&mounts), problems.into_iter().map(|problem| problem.at).collect())
    }

    #[test]
    fn every_spelling_is_read() {
        let (mounts, problems) = volumes_of(
            r#"["/a:/b:ro", "name:/b", "/data", "./x:/x", "../y/./z:/y:rw", ".:/here",
                {"source": "./x", "target": "/t", "read_only": true}, {"type": "tmpfs", "target": "/m", "size": "1m"}]"#,
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            mounts,
            [
                "MountKind::Bind /a>/b ro",
                "MountKind::Volume name>/b",
                "MountKind::Volume >/data",
                "MountKind::Bind /srv/app/x>/x",
                "MountKind::Bind /srv/y/z>/y",
                "MountKind::Bind /srv/app>/here",
                "MountKind::Bind /srv/app/x>/t ro",
                "MountKind::Tmpfs >/m 1048576",
            ]
        );
    }

    #[test]
    fn every_mistake_is_named_at_its_place() {
        let bad = |json: &str, expected: &[&str]| assert_eq!(volumes_of(json).1, expected, "{json}");
        bad(
            r#"["a b:/x", ":/x", "/a:b", "/a:/b:rx", "/a:/b:ro:z", "~/a:/b", "/a:/", "/a:/b/../..", "", 5, "-v:/x"]"#,
            &[
                "/volumes/0",
                "/volumes/1",
                "/volumes/2",
                "/volumes/3",
                "/volumes/4",
                "/volumes/5",
                "/volumes/6",
                "/volumes/7",
                "/volumes/8",
                "/volumes/9",
                "/volumes/10",
            ],
        );
        bad(
            r#"[{"source": "/a"}, {"src": "/a", "target": "/b"}, {"type": "bind", "source": "name", "target": "/b"}, {"target": "/x", "size": 5}]"#,
            &["/volumes/0", "/volumes/1/src", "/volumes/2", "/volumes/3/size"],
        );
        bad(r#""/a:/b""#, &["/volumes"]);
    }

    #[test]
    fn memory_is_mounted_at_paths() {
        let read = |json: &str| {
            let value: Value = json.parse().expect("the test writes JSON");
            let mut problems = Vec::new();
            let mounts = tmpfs(&At::new("/tmpfs", &value), &mut problems);
            (shown(&mounts), problems.into_iter().map(|problem| problem.at).collect::<Vec<_>>())
        };
        assert_eq!(read(r#"["/run", "/tmp:size=64m,ro"]"#).0, ["MountKind::Tmpfs >/run", "MountKind::Tmpfs >/tmp ro 67108864"]);
        assert_eq!(read(r#"{"/run": "1Ki", "/x": null}"#).0, ["MountKind::Tmpfs >/run 1024", "MountKind::Tmpfs >/x"]);
        assert_eq!(read(r#"["run", "/tmp:mode=1777", 5]"#).1, ["/tmpfs/0", "/tmpfs/1", "/tmpfs/2"]);
        assert_eq!(read(r#"{"/run": "big"}"#).1, ["/tmpfs/~1run"]);
    }
}
