//! `wasi:filesystem`: granted directories, opened once per load and never left.
//!
//! WASI's own implementation resolves every path beneath a directory handle, so that neither `..` nor a symlink leads out;
//! this file decides which directories there are. Without a grant there is none: the interface is linked for everybody,
//! because the standard libraries of many languages import it, and it reaches nothing.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};
use wasmtime_wasi::{FsPerms, OpenMode};

use super::CallState;
use crate::grant::filesystem::check_all;
use crate::grant::{Access, DirectoryGrant};
use crate::scope::Scope;

mod descriptor;
mod measure;
mod room;
mod stream;

use room::Room;

const CAPABILITY: &str = "filesystem";

/// The grant, read: every directory is open.
pub(super) struct Settled {
    roots: Vec<Root>,
}

/// One granted directory.
struct Root {
    dir: Dir,
    /// The plugin's name for it.
    at: String,
    access: Access,
    /// Absent where the grant has no quota.
    room: Option<Arc<Room>>,
}

/// One call's open files.
pub(super) struct Files {
    settled: Option<Arc<Settled>>,
    scope: Scope,
    ctx: WasiFilesystemCtx,
    /// Which granted directory each open descriptor is below, by the descriptor's place in the table.
    below: HashMap<u32, usize>,
}

/// Takes the place of WASI's own, which knows neither quotas nor an audit trail.
pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    types::add_to_linker::<_, Trees>(linker, view)?;
    preopens::add_to_linker::<_, Trees>(linker, view)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn view(call: &mut CallState) -> Tree<'_> {
    Tree { files: &mut call.files, table: &mut call.table }
}

/// Opens what is granted; nothing when that is nothing.
pub(super) fn settle(grants: &[DirectoryGrant]) -> Result<Option<Settled>, String> {
    check_all(grants)?;
    let roots: Vec<Root> = grants.iter().map(Root::open).collect::<Result<_, _>>()?;
    Ok((!roots.is_empty()).then_some(Settled { roots }))
}

pub(super) fn build(settled: Option<&Arc<Settled>>, scope: &Scope) -> Files {
    Files { settled: settled.cloned(), scope: scope.clone(), ctx: WasiFilesystemCtx::default(), below: HashMap::new() }
}

impl Root {
    fn open(grant: &DirectoryGrant) -> Result<Root, String> {
        let path = &grant.path;
        let hint = "make it, or change the grant";
        // asked for as a directory: opening a pipe would keep the host waiting
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let file = File::from(open(path, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOTDIR => format!("{path} is not a directory; {hint}"),
            error => format!("the directory {path} cannot be opened: {error}; {hint}"),
        })?);
        let (perms, mode) = match grant.access {
            Access::Read => (FsPerms::ReadOnly, OpenMode::READ),
            Access::Write => (FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE),
        };
        let dir = Dir::new(file, perms, mode, false);
        let room = grant.quota.map(|quota| Arc::new(Room::new(quota, Arc::clone(&dir.dir))));
        Ok(Root { dir, at: grant.at().to_owned(), access: grant.access, room })
    }
}

struct Trees;

impl HasData for Trees {
    type Data<'a> = Tree<'a>;
}

/// WASI's file system behind the grant.
struct Tree<'a> {
    files: &'a mut Files,
    table: &'a mut ResourceTable,
}

impl Tree<'_> {
    /// WASI's own implementation.
    fn wasi(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView { ctx: &mut self.files.ctx, table: self.table }
    }

    /// The granted directory that a descriptor is below. A function that promises to touch nothing has none.
    fn root(&self, of: &Resource<Descriptor>) -> FsResult<&Root> {
        self.files.scope.permit(CAPABILITY).map_err(|_| ErrorCode::NotPermitted)?;
        let settled = self.files.settled.as_ref().ok_or(ErrorCode::NotPermitted)?;
        let index = self.files.below.get(&of.rep()).ok_or(ErrorCode::BadDescriptor)?;
        Ok(&settled.roots[*index])
    }

    /// As [`Tree::root`], of one that may be changed.
    fn writable(&self, of: &Resource<Descriptor>, verb: &str, path: &str) -> FsResult<&Root> {
        let root = self.root(of)?;
        match root.access {
            Access::Write => Ok(root),
            Access::Read => {
                self.files.scope.denied(CAPABILITY, &format!("{verb} {path} below {}, which is granted for reading", root.at));
                Err(ErrorCode::ReadOnly.into())
            }
        }
    }

    /// The room that a change below `of` takes from, with a reservation of `bytes`.
    async fn take(&mut self, of: &Resource<Descriptor>, bytes: u64) -> FsResult<Option<room::Charge>> {
        let Some(room) = self.root(of)?.room.clone() else { return Ok(None) };
        match room.take(bytes).await {
            Some(charge) => Ok(Some(charge)),
            None => Err(ErrorCode::InsufficientSpace.into()),
        }
    }

    /// Something below `of` was made smaller.
    fn freed(&self, of: &Resource<Descriptor>) {
        if let Ok(Root { room: Some(room), .. }) = self.root(of) {
            room.freed();
        }
    }

    /// Reports what WASI refused: a path that leads out of its directory.
    fn judged<T>(&self, of: &Resource<Descriptor>, verb: &str, path: &str, answer: FsResult<T>) -> FsResult<T> {
        if let Err(error) = &answer
            && matches!(error.downcast_ref(), Some(ErrorCode::NotPermitted))
        {
            let at = self.root(of).map_or("", |root| root.at.as_str());
            self.files.scope.denied(CAPABILITY, &format!("{verb} {path} below {at}, where it leads out or may not be done"));
        }
        answer
    }
}

impl preopens::Host for Tree<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let Some(settled) = self.files.settled.clone() else { return Ok(Vec::new()) };
        let mut found = Vec::with_capacity(settled.roots.len());
        for (index, root) in settled.roots.iter().enumerate() {
            let descriptor = self.table.push(Descriptor::Dir(root.dir.clone()))?;
            self.files.below.insert(descriptor.rep(), index);
            found.push((descriptor, root.at.clone()));
        }
        Ok(found)
    }
}
