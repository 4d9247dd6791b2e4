//! Which user a command runs as: names from `/etc/passwd` and `/etc/group`, or numbers.

use rustix::fs::{Gid, Uid};

/// Whom a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// The primary group included.
    pub(crate) groups: Vec<Gid>,
}

/// Resolves `name`, `uid` or `uid:gid` against this machine's files.
///
/// A number without a group gets the primary group of the user who has it, else the group of the same number. A number
/// with a group gets that group and no other.
pub(crate) fn resolve(text: &str) -> Result<User, String> {
    let read = |path: &str| std::fs::read_to_string(path).map_err(|error| format!("user {text:?}: {path}: {error}"));
    let passwd = read("/etc/passwd")?;
    // a machine may do without the file of groups
    let group = read("/etc/group").unwrap_or_default();
    resolve_in(text, &passwd, &group)
}

fn resolve_in(text: &str, passwd: &str, group: &str) -> Result<User, String> {
    let unknown = || format!("user {text:?} is not known on this machine; give a name of /etc/passwd, or uid[:gid]");
    if let Some((uid, gid)) = text.split_once(':') {
        let (uid, gid) = number(uid).zip(number(gid)).ok_or_else(|| format!("user {text:?} is not uid:gid in numbers"))?;
        return Ok(user(uid, gid, Vec::new()));
    }
    let entries = || passwd.lines().filter_map(Entry::parse);
    if let Some(entry) = entries().find(|entry| entry.name == text) {
        return Ok(entry.user(group));
    }
    let uid = number(text).ok_or_else(unknown)?;
    let entry = entries().find(|entry| entry.uid == uid);
    Ok(entry.map_or_else(|| user(uid, uid, Vec::new()), |entry| entry.user(group)))
}

/// A uid or gid; the highest number means "leave it" to the kernel and is none.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number != u32::MAX)
}

fn user(uid: u32, gid: u32, more: Vec<u32>) -> User {
    let mut groups = vec![Gid::from_raw(gid)];
    groups.extend(more.into_iter().filter(|more| *more != gid).map(Gid::from_raw));
    User { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), groups }
}

/// A line of `/etc/passwd`.
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        let (_password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Entry { name, uid: number(uid)?, gid: number(gid)? })
    }

    fn user(&self, group: &str) -> User {
        user(self.uid, self.gid, memberships(self.name, group))
    }
}

/// The groups whose line names the user.
fn memberships(name: &str, group: &str) -> Vec<u32> {
    let member = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let gid = number(fields.next()?)?;
        fields.next()?.split(',').any(|member| member.trim() == name).then_some(gid)
    };
    group.lines().filter_map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n# comment\nweb:x:33:33:www:/var/www:/bin/sh\n1000:x:5:6::/:\nbroken\n";
    const GROUP: &str = "root:x:0:\nweb:x:33:web\nlog:x:4:ada,web\ndocker:x:99:ada\n";

    fn check(text: &str) -> Result<(u32, u32, Vec<u32>), String> {
        let user = resolve_in(text, PASSWD, GROUP)?;
        Ok((user.uid.as_raw(), user.gid.as_raw(), user.groups.iter().map(|gid| gid.as_raw()).collect()))
    }

    #[test]
    fn names_bring_their_groups_and_numbers_what_they_say() {
        assert_eq!(check("web"), Ok((33, 33, vec![33, 4])));
        assert_eq!(check("33"), Ok((33, 33, vec![33, 4])));
        assert_eq!(check("33:7"), Ok((33, 7, vec![7])));
        assert_eq!(check("4242"), Ok((4242, 4242, vec![4242])));
        assert_eq!(check("1000"), Ok((5, 6, vec![6])), "a name wins over a number");
    }

    #[test]
    fn what_is_no_user_is_refused() {
        for text in ["", "nobody-here", "-1", "4294967295", "1:", ":1", "1:x", "web:root", "0x10", "+5", "root\n"] {
            assert!(check(text).is_err(), "{text:?}");
        }
    }
}
