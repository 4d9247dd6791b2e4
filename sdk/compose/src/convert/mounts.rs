//! `volumes`, `tmpfs`, `secrets` and `configs`: what is at a path within the container.

use super::{Around, Members, Value, engine_name, lost, plain, put, top_level};
use crate::import::Import;
use crate::paths;
use crate::read::{Spot, Taking};
use crate::template::Template;
use crate::words;

/// Puts `volumes` and `tmpfs` into the backend's settings.
pub(super) fn mounts(import: &mut Import<'_>, around: &Around<'_>, table: &mut Taking<'_>, to: &mut Members) {
    let mut found = Found::default();
    for spot in table.take("volumes").iter().flat_map(Spot::items) {
        match spot.is_table() {
            true => long(import, around, &spot, &mut found),
            false => short(import, around, &spot, &mut found),
        }
    }
    for spot in table.take("tmpfs").iter().flat_map(Spot::items) {
        tmpfs(import, &spot, &mut found);
    }
    for (key, base) in [("secrets", "/run/secrets/"), ("configs", "/")] {
        for spot in table.take(key).iter().flat_map(Spot::items) {
            file_of(import, around, key, base, &spot, &mut found);
        }
    }
    put(to, "volumes", (!found.volumes.is_empty()).then_some(Value::List(found.volumes)));
    put(to, "tmpfs", (!found.tmpfs.is_empty()).then_some(Value::List(found.tmpfs)));
}

#[derive(Default)]
struct Found {
    volumes: Vec<Value>,
    tmpfs: Vec<Value>,
}

impl Found {
    fn volume(&mut self, source: &str, target: &str, read_only: bool) {
        let value = if source.contains(':') && !source.contains('$') || target.contains(':') && !target.contains('$') {
            let mut members = vec![("source".to_owned(), Value::Text(source.to_owned())), ("target".to_owned(), Value::Text(target.to_owned()))];
            put(&mut members, "read_only", read_only.then_some(Value::Flag(true)));
            Value::Table(members)
        } else {
            let end = if read_only { ":ro" } else { "" };
            Value::Text(if source.is_empty() { target.to_owned() } else { format!("{source}:{target}{end}") })
        };
        if !self.volumes.contains(&value) {
            self.volumes.push(value);
        }
    }
}

fn short(import: &mut Import<'_>, around: &Around<'_>, spot: &Spot<'_>, found: &mut Found) {
    let Some(template) = spot.template(import) else { return };
    let pieces = template.split(':');
    let (source, target, options) = match pieces.as_slice() {
        [target] => (None, target, None),
        [source, target] => (Some(source), target, None),
        [source, target, options] => (Some(source), target, Some(options)),
        _ => return spot.mistake(import, "there are too many colons", "write \"./data:/data:ro\", or source, target and read_only"),
    };
    let Some(target) = place_inside(import, spot, target) else { return };
    let mut read_only = false;
    let options = options.and_then(|options| import.resolve_template(spot.item.place, &spot.key, options)).unwrap_or_default();
    for option in options.split(',') {
        match option {
            "ro" => read_only = true,
            // The last three only mean something where the engine runs in a machine of its own.
            "" | "rw" | "cached" | "delegated" | "consistent" => {}
            "z" | "Z" => spot.note(import, "nothing is labelled for SELinux", "label the directory yourself: chcon -Rt container_file_t"),
            other => spot.note(import, format!("the option `{}` of a volume", shown(other)), "leave it out, or make the volume with it yourself"),
        }
    }
    let source = match source {
        None => Some(String::new()),
        Some(source) => source_of(import, around, spot, source),
    };
    if let Some(source) = source {
        found.volume(&source, &target, read_only);
    }
}

/// A word of the file within a message: short, and nothing a terminal obeys.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// An absolute path within the container, as the service file has it.
fn place_inside(import: &mut Import<'_>, spot: &Spot<'_>, target: &Template) -> Option<String> {
    let today = import.resolve_template(spot.item.place, &spot.key, target)?;
    if !today.starts_with('/') || today == "/" || today.split('/').any(|part| part == "..") {
        spot.mistake(import, "the place within the container is no absolute path below `/`", "write \"./data:/data\"");
        return None;
    }
    Some(import.write(spot.item.place, &spot.key, target))
}

/// A path, seen from the service file, or a volume by the engine's name.
fn source_of(import: &mut Import<'_>, around: &Around<'_>, spot: &Spot<'_>, source: &Template) -> Option<String> {
    let today = import.resolve_template(spot.item.place, &spot.key, source)?;
    if today.starts_with(['.', '/', '~']) {
        return Some(path(import, spot, source, &today));
    }
    named(import, around, spot, source, &today)
}

/// A path, seen from the service file; what is to be granted for it is kept.
fn path(import: &mut Import<'_>, spot: &Spot<'_>, source: &Template, today: &str) -> String {
    let written = seen(import, spot, source, today);
    let asked = match source.as_literal() {
        // Whatever a variable says is not for others to read: its directory is.
        None if !written.starts_with('/') && !today.starts_with('/') => plain(&paths::plain(&import.dir_of(spot.item.place)).to_string_lossy()),
        Some(literal) if !today.starts_with('~') => plain(&paths::plain(&import.dir_of(spot.item.place).join(literal)).to_string_lossy()),
        _ => written.clone(),
    };
    import.asks.mounts.insert(asked);
    written
}

fn seen(import: &mut Import<'_>, spot: &Spot<'_>, source: &Template, today: &str) -> String {
    let dir = import.dir_of(spot.item.place);
    let out_dir = import.request.out_dir.clone();
    if let Some(rest) = today.strip_prefix('~') {
        let mut home = Template::parse("${HOME}").expect("a good variable");
        match source.as_literal() {
            Some(_) => home.push_str(rest),
            None => spot.note(import, "`~` comes from a variable, where nothing expands it", "write the whole path"),
        }
        return import.write(spot.item.place, &spot.key, &home);
    }
    if let Some(literal) = source.as_literal() {
        return plain(&paths::seen_from(literal, &dir, &out_dir));
    }
    let here = paths::plain(&dir) == paths::plain(&out_dir);
    let dotted = |text: &str| text == "." || text == ".." || text.starts_with("./") || text.starts_with("../");
    if today.starts_with('/') || here && dotted(today) {
        return import.write(spot.item.place, &spot.key, source);
    }
    spot.note(import, "a variable stands in this path, and its value of today was written", "change the path when the variable changes");
    plain(&paths::seen_from(today, &dir, &out_dir))
}

fn named(import: &mut Import<'_>, around: &Around<'_>, spot: &Spot<'_>, source: &Template, today: &str) -> Option<String> {
    let described = top_level(around, "volumes", today);
    if described.is_none() {
        let variable = source.as_literal().is_none();
        let name = if variable { "of this name".to_owned() } else { format!("`{}`", shown(today)) };
        spot.mistake(import, format!("there is no volume {name}"), "write it under the `volumes` of the whole file; a path begins with `./` or `/`");
        return None;
    }
    if source.as_literal().is_none() {
        spot.note(import, "a variable names this volume, and its value of today was written", "change the name when the variable changes");
    }
    Some(engine_name(import, described.as_ref(), today))
}

fn long(import: &mut Import<'_>, around: &Around<'_>, spot: &Spot<'_>, found: &mut Found) {
    let mut table = Taking::new(spot, import);
    let kind = table.take("type").and_then(|spot| spot.word(import)).unwrap_or_else(|| "volume".to_owned());
    let Some(target) = table.take("target").and_then(|spot| spot.template(import)) else {
        return spot.mistake(import, "the place within the container is not named", "write target: /data");
    };
    let Some(target) = place_inside(import, spot, &target) else { return };
    let source = table.take("source");
    let read_only = table.take("read_only").and_then(|spot| spot.flag(import)).unwrap_or(false);
    table.take("consistency");
    let size = table.take("tmpfs").and_then(|spot| {
        let mut table = Taking::new(&spot, import);
        let size = table.take("size").and_then(|spot| spot.bytes(import));
        lost::rest(import, table, "a tmpfs has a size and nothing else", "leave it out");
        size
    });
    if let Some(bind) = table.take("bind") {
        let mut bind = Taking::new(&bind, import);
        if bind.take("create_host_path").is_some_and(|spot| spot.flag(import) == Some(false)) {
            spot.note(import, "the host does not look whether the path is there before it starts the container", "make the path first");
        }
        lost::rest(import, bind, "a bind mount is there or not, and read-only or not", "leave it out");
    }
    if let Some(volume) = table.take("volume") {
        let volume = Taking::new(&volume, import);
        lost::rest(import, volume, "a volume is mounted as a whole, and filled by the engine", "leave it out");
    }
    lost::unknown(import, table);
    match kind.as_str() {
        "tmpfs" => {
            let size = size.map(|bytes| format!(":size={}", words::size(bytes).to_ascii_lowercase().replace("i", ""))).unwrap_or_default();
            found.tmpfs.push(Value::Text(format!("{target}{size}")));
        }
        "bind" | "volume" => {
            let source = match (source, kind.as_str()) {
                (Some(source), "bind") => source.template(import).and_then(|template| {
                    let today = import.resolve_template(source.item.place, &source.key, &template)?;
                    let template = if today.starts_with(['.', '/', '~']) { template } else { dotted(&template) };
                    let today = if today.starts_with(['.', '/', '~']) { today } else { format!("./{today}") };
                    Some(path(import, &source, &template, &today))
                }),
                (Some(source), _) => source.template(import).and_then(|template| {
                    let today = import.resolve_template(source.item.place, &source.key, &template)?;
                    named(import, around, &source, &template, &today)
                }),
                (None, "volume") => Some(String::new()),
                (None, _) => return spot.mistake(import, "the path to mount is not named", "write source: ./data"),
            };
            if let Some(source) = source {
                found.volume(&source, &target, read_only);
            }
        }
        "npipe" | "cluster" | "image" => {
            spot.note(import, format!("a mount of the type `{kind}`"), "mount a path or a volume");
        }
        _ => spot.mistake(import, "this is no type of a mount", "write bind, volume or tmpfs"),
    }
}

fn dotted(template: &Template) -> Template {
    let mut dotted = Template::literal("./");
    dotted.append(template.clone());
    dotted
}

fn tmpfs(import: &mut Import<'_>, spot: &Spot<'_>, found: &mut Found) {
    let Some(template) = spot.template(import) else { return };
    let pieces = template.split(':');
    let Some(target) = pieces.first().and_then(|target| place_inside(import, spot, target)) else { return };
    let options = pieces.get(1).and_then(|options| import.resolve_template(spot.item.place, &spot.key, options)).unwrap_or_default();
    let mut kept = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=').unwrap_or((option, "")) {
            ("size", size) if words::bytes(size).is_some() => kept.push(option.to_owned()),
            ("ro", "") => kept.push(option.to_owned()),
            ("rw", "") => {}
            (other, _) => spot.note(import, format!("the option `{}` of a tmpfs", shown(other)), "a tmpfs has a size, and may be read-only"),
        }
    }
    let end = if kept.is_empty() { String::new() } else { format!(":{}", kept.join(",")) };
    let value = Value::Text(format!("{target}{end}"));
    if !found.tmpfs.contains(&value) {
        found.tmpfs.push(value);
    }
}

/// A secret or config that stands in a file is mounted, read-only, where Compose would put it.
fn file_of(import: &mut Import<'_>, around: &Around<'_>, part: &str, base: &str, spot: &Spot<'_>, found: &mut Found) {
    let (source, target) = if spot.is_table() {
        let mut table = Taking::new(spot, import);
        let both = (table.take("source"), table.take("target").and_then(|spot| spot.template(import)));
        lost::rest(import, table, "owner and mode are those of the file", "set them with chown and chmod");
        both
    } else {
        (Some(spot.clone()), None)
    };
    let Some(name) = source.and_then(|source| source.word(import)) else {
        return spot.mistake(import, "it is not named", "write `- NAME`, or source: NAME");
    };
    let Some(described) = top_level(around, part, &name) else {
        return spot.mistake(
            import,
            format!("there is nothing of this name under `{part}` of the whole file"),
            format!("write `{part}:` with {name}: {{ file: … }}"),
        );
    };
    let Some(file) = described.member("file").filter(|file| !file.is_null()) else {
        let hint = "write it into a file and mount that, or give the service a secret of its own: secrets = { NAME = \"/path\" }";
        return spot.note(import, "only what stands in a file can be mounted", hint);
    };
    let target = target.unwrap_or_else(|| Template::literal(&name));
    let absolute = import.resolve_template(spot.item.place, &spot.key, &target).is_some_and(|target| target.starts_with('/'));
    let mut place = Template::literal(if absolute { "" } else { base });
    place.append(target);
    let Some(target) = place_inside(import, spot, &place) else { return };
    let Some(template) = file.template(import) else { return };
    let Some(today) = import.resolve_template(file.item.place, &file.key, &template) else { return };
    let fits = today.starts_with(['.', '/', '~']);
    let (template, today) = if fits { (template, today) } else { (dotted(&template), format!("./{today}")) };
    let source = path(import, &file, &template, &today);
    found.volume(&source, &target, true);
}
