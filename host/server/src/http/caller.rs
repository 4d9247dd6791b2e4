//! Who asks, and what he may.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use hostler_api::access::{Access, DEFAULT_WORKSPACE, Role};
use hostler_api::config::Listen;
use hostler_api::{Code, Failure};
use tokio::net::UnixStream;

use crate::identity::Proven;
use crate::workspaces::Rights;

/// Where a connection comes from.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    /// Our own socket, which only our own user and the system's administrator can reach.
    Local {
        /// The user of the process at the other end, as the kernel says.
        uid: Option<u32>,
    },
    /// The TCP door.
    Remote(Arc<Visitor>),
}

/// The other end of one TCP connection.
#[derive(Debug)]
pub(crate) struct Visitor {
    /// Where it is.
    pub(crate) from: SocketAddr,
    /// The address of ours that it came to.
    pub(crate) to: SocketAddr,
    /// Whom its certificate names.
    pub(crate) certificate: Option<String>,
    /// The door it came through.
    pub(crate) door: Arc<Listen>,
    /// The tokens it has shown, and how many losses of rights there had been by then: a connection ends with the first of them that is good
    /// for less.
    shown: Mutex<Vec<(String, u64)>>,
}

impl Visitor {
    pub(crate) fn new(from: SocketAddr, to: SocketAddr, certificate: Option<String>, door: Arc<Listen>) -> Visitor {
        Visitor { from, to, certificate, door, shown: Mutex::default() }
    }

    /// Notes a good token, with the losses of rights that it is known with.
    pub(crate) fn has_shown(&self, id: &str, losses: u64) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if !shown.iter().any(|(other, _)| other == id) {
            shown.push((id.to_owned(), losses));
        }
    }

    /// Has it shown none at all?
    pub(crate) fn is_stranger(&self) -> bool {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Do all of them pass?
    pub(crate) fn all_shown(&self, pass: impl Fn(&str, u64) -> bool) -> bool {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).iter().all(|(id, losses)| pass(id, *losses))
    }
}

impl Peer {
    pub(super) fn local(stream: &UnixStream) -> Peer {
        Peer::Local { uid: stream.peer_cred().ok().map(|who| who.uid()) }
    }

    /// What the audit log calls it.
    pub(super) fn place(&self) -> String {
        match self {
            Peer::Local { .. } => "socket".to_owned(),
            Peer::Remote(visitor) => visitor.from.to_string(),
        }
    }
}

/// What the audit log calls whoever has shown no token that is good. No token is called so.
pub(crate) const NOBODY: &str = "nobody";

/// Whoever asks: known by the time a route is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// What the audit log calls him.
    pub(crate) name: String,
    /// His token, by its public part; nothing on our own socket.
    pub(crate) token: Option<String>,
    /// His role on the host, which goes for every workspace.
    host: Option<Role>,
    /// His role in each workspace.
    workspaces: BTreeMap<String, Role>,
    /// Has he the set-up token, and nothing else?
    set_up: bool,
    /// Has he shown no token?
    unknown: bool,
}

impl Caller {
    /// Somebody on our own socket: he may do everything, where he is who the socket is for.
    ///
    /// # Errors
    /// He is another user, whom a mode of the directory that somebody has changed let in.
    pub(crate) fn local(uid: Option<u32>) -> Result<Caller, Failure> {
        // It stays who it is: every request asks, and the kernel need not.
        static ME: LazyLock<u32> = LazyLock::new(|| rustix::process::geteuid().as_raw());
        let me = *ME;
        match uid {
            Some(uid) if uid == 0 || uid == me => Ok(Caller { host: Some(Role::Admin), ..Caller::nobody(&format!("local:{uid}")) }),
            Some(uid) => Err(Failure::new(Code::Denied, format!("this socket is for uid {me}, and this is uid {uid}"))
                .hint("run this command as the user that started the host, or ask over TCP with a token")),
            None => Err(Failure::new(Code::Denied, "the kernel does not say whose connection this is")),
        }
    }

    /// Whoever a token proves.
    pub(crate) fn of(proven: Proven) -> Caller {
        match proven {
            Proven::Token { id, name, role, workspaces } => Caller { name, token: Some(id), host: role, workspaces, set_up: false, unknown: false },
            Proven::SetUp => Caller { set_up: true, ..Caller::nobody("set-up") },
        }
    }

    /// The same with what his teams give him.
    #[must_use]
    pub(crate) fn with(mut self, rights: Rights) -> Caller {
        for (workspace, role) in rights {
            let has = self.workspaces.entry(workspace).or_insert(role);
            *has = role.max(*has);
        }
        self
    }

    /// Somebody with this name and no rights.
    fn nobody(name: &str) -> Caller {
        Caller { name: name.to_owned(), token: None, host: None, workspaces: BTreeMap::new(), set_up: false, unknown: false }
    }

    /// Has he the set-up token, which makes the first token and nothing else?
    pub(crate) fn is_setting_up(&self) -> bool {
        self.set_up
    }

    /// Has he shown nothing that says who he is?
    pub(crate) fn is_unknown(&self) -> bool {
        self.unknown
    }

    /// Somebody who has shown no token.
    pub(crate) fn unknown() -> Caller {
        Caller { unknown: true, ..Caller::nobody(NOBODY) }
    }

    /// His role on the host.
    pub(crate) fn on_host(&self) -> Option<Role> {
        self.host
    }

    /// His role in a workspace: the better of the one there and the one on the host.
    pub(crate) fn role_in(&self, workspace: &str) -> Option<Role> {
        self.host.max(self.workspaces.get(workspace).copied())
    }

    /// What he is told of a workspace that is not there, or none of his.
    pub(crate) fn no_workspace(&self, workspace: &str) -> Failure {
        if self.set_up {
            return Failure::new(Code::Denied, "the set-up token makes the first token, and nothing else");
        }
        let workspace = hostler_api::token::redacted(workspace);
        Failure::new(Code::NotFound, format!("there is no workspace `{}` for {}", workspace.escape_default(), self.name))
    }

    /// May he ask a route that demands this, of this workspace?
    ///
    /// # Errors
    /// No. Of a workspace that is none of his he is told nothing, not even that it is there.
    pub(crate) fn may_in(&self, workspace: &str, access: Access) -> Result<(), Failure> {
        let (has, demanded, place) = match access {
            Access::Anybody => return Ok(()),
            Access::Known if self.set_up => return Err(self.no_workspace(workspace)),
            Access::Known => return Ok(()),
            Access::Document if workspace == DEFAULT_WORKSPACE && self.role_in(workspace).is_some() => {
                (self.on_host(), Role::Admin, "on the host".to_owned())
            }
            Access::Document => (self.role_in(workspace), Role::Admin, format!("in workspace `{workspace}`")),
            Access::Workspace(role) => (self.role_in(workspace), role, format!("in workspace `{workspace}`")),
            Access::Host(role) => (self.on_host(), role, "on the host".to_owned()),
        };
        match (has, access) {
            (Some(has), _) if has >= demanded => Ok(()),
            (None, Access::Workspace(_) | Access::Document) if !self.set_up && self.role_in(workspace).is_none() => Err(self.no_workspace(workspace)),
            (has, _) => {
                let has = has.map_or("nothing", Role::as_str);
                Err(Failure::new(Code::Denied, format!("this takes the role {} {place}, and {} is {has} there", demanded.as_str(), self.name)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(role: Option<Role>, workspaces: &[(&str, Role)]) -> Caller {
        let workspaces = workspaces.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect();
        Caller::of(Proven::Token { id: "x".to_owned(), name: "x".to_owned(), role, workspaces })
    }

    fn code(caller: &Caller, access: Access) -> Option<Code> {
        caller.may_in(DEFAULT_WORKSPACE, access).err().map(|failure| failure.code)
    }

    #[test]
    fn a_role_on_the_host_goes_for_every_workspace_and_not_the_other_way() {
        for has in Role::ALL {
            for demanded in Role::ALL {
                let denied = (has < demanded).then_some(Code::Denied);
                assert_eq!(code(&with(Some(has), &[]), Access::Workspace(demanded)), denied);
                assert_eq!(code(&with(Some(has), &[]), Access::Host(demanded)), denied);
                assert_eq!(code(&with(None, &[("default", has)]), Access::Workspace(demanded)), denied);
                assert_eq!(code(&with(None, &[("default", has)]), Access::Host(demanded)), Some(Code::Denied));
                assert_eq!(code(&with(None, &[("other", has)]), Access::Workspace(demanded)), Some(Code::NotFound));
            }
        }
        let both = with(Some(Role::Viewer), &[("default", Role::Operator)]);
        assert_eq!(both.role_in("default"), Some(Role::Operator));
        assert_eq!(both.role_in("other"), Some(Role::Viewer));
    }

    #[test]
    fn another_user_is_nobody_on_our_socket() {
        let me = rustix::process::geteuid().as_raw();
        assert!(Caller::local(Some(me)).is_ok() && Caller::local(Some(0)).is_ok());
        assert!(Caller::local(Some(me + 1)).is_err() && Caller::local(None).is_err());
    }
}
