//! The host itself: inside this process, or in one of its own in the background.

mod background;
mod diary;

pub(crate) use background::{hear, in_background, leave_terminal, say};
pub(crate) use diary::Loudness;

use std::path::{Path, PathBuf};

use hostler_api::ApplyRequest;
use hostler_api::config::StoreKind;
use hostler_server::{Host, HostOptions, StoreEngine};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::document::Wish;
use crate::error::{Error, failed};

include!(concat!(env!("OUT_DIR"), "/built_ins.rs"));

/// What a host begins with: what a file says of the host itself, and what it is to apply.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Beginning {
    /// Does nothing outlive it?
    memory_store: bool,
    /// Filter of its own log.
    log: Option<String>,
    /// Applied before anything is started.
    request: Option<ApplyRequest>,
}

impl Beginning {
    /// What a file says of the host, and what is made of the rest of it.
    pub(crate) fn of(wish: &Wish, request: ApplyRequest) -> Beginning {
        let settings = &wish.config.settings;
        Beginning { memory_store: settings.store == StoreKind::Memory, log: settings.log.clone(), request: Some(request) }
    }
}

/// A host inside this process.
pub(crate) struct Embedded {
    ended: watch::Receiver<bool>,
    reload: Box<dyn Fn() + Send>,
}

impl Embedded {
    /// Starts it, with the plugins inside this program.
    ///
    /// It answers on its socket from then on; a configuration it refuses has started nothing.
    pub(crate) async fn start(state_dir: &Path, beginning: Beginning, loudness: Loudness) -> Result<Embedded, Error> {
        diary::begin(loudness, beginning.log.as_deref(), state_dir);
        // before anything takes its share of them
        hostler_keeper::open_files::raise();
        let mut options = HostOptions::new(state_dir.to_owned(), BUILT_INS, program()?);
        options.store = if beginning.memory_store { StoreEngine::Memory } else { StoreEngine::Sqlite };
        options.initial = beginning.request;
        let host = Host::start(options).await.map_err(|error| match error.is_of_the_store() {
            true => Error::Unusable(Box::new(error.failure())),
            false => error.failure().into(),
        })?;
        let (tell, ended) = watch::channel(false);
        let reload = Box::new(host.reloading());
        tokio::spawn(async move {
            host.wait().await;
            tell.send_replace(true);
        });
        Ok(Embedded { ended, reload })
    }

    /// Reads the certificates of its TCP door anew.
    pub(crate) fn reload(&self) {
        (self.reload)();
    }

    /// Returns once it has ended.
    pub(crate) async fn ended(&self) {
        // The one who tells goes only after having told.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Has it?
    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }
}

/// This program's own file: the keeper and the host in the background are it, too.
fn program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|error| failed(format!("cannot find the program's own file: {error}")).into())
}
