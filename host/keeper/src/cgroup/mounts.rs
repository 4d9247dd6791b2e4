//! Where cgroups are mounted, and where the keeper itself is in them.

use std::path::PathBuf;

/// One mounted hierarchy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) dir: PathBuf,
    pub(super) unified: bool,
    /// Of a version 1 hierarchy.
    pub(super) controllers: Vec<String>,
    /// The keeper's cgroup in it, as `/proc/self/cgroup` says.
    own: Option<String>,
}

impl Mount {
    /// The directory of the keeper's own cgroup, when that is not the top.
    pub(super) fn own_place(&self) -> Option<PathBuf> {
        let own = self.own.as_deref()?.trim_start_matches('/');
        (!own.is_empty()).then(|| self.dir.join(own))
    }
}

pub(super) fn read() -> Vec<Mount> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    parse(&read("/proc/self/mounts"), &read("/proc/self/cgroup"))
}

pub(super) fn parse(mounts: &str, own: &str) -> Vec<Mount> {
    mounts.lines().filter_map(|line| mount(line, own)).collect()
}

fn mount(line: &str, own: &str) -> Option<Mount> {
    let mut fields = line.split(' ').skip(1);
    let (dir, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
    let unified = match kind {
        "cgroup2" => true,
        "cgroup" => false,
        _ => return None,
    };
    let controllers: Vec<String> = if unified { Vec::new() } else { options.split(',').map(str::to_owned).collect() };
    let own = own.lines().find_map(|line| place(line, unified, &controllers));
    Some(Mount { dir: PathBuf::from(dir.replace("\\040", " ")), unified, controllers, own })
}

/// The path of a line `ID:CONTROLLERS:PATH`, if it speaks of this hierarchy.
fn place(line: &str, unified: bool, controllers: &[String]) -> Option<String> {
    let (id, rest) = line.split_once(':')?;
    let (names, path) = rest.split_once(':')?;
    let here = if unified { id == "0" } else { !names.is_empty() && names.split(',').all(|name| controllers.iter().any(|known| known == name)) };
    here.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found_with_the_keepers_own_place() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
                      cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";
        let own = "4:memory:/a/b\n1:cpu,cpuacct:/\n0::/system.slice/x.service\n";
        let found = parse(mounts, own);
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].unified, found[0].own_place()), (false, None));
        assert_eq!(found[1].own_place(), Some(PathBuf::from("/sys/fs/cgroup/memory/a/b")));
        assert_eq!((found[2].unified, found[2].own_place()), (true, Some(PathBuf::from("/sys/fs/cgroup/unified/system.slice/x.service"))));
        assert!(found[0].controllers.iter().any(|name| name == "cpu"));
    }
}
