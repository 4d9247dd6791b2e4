//! Keeps what a plugin does for a while: every call with its imports, on its way to whoever asked.

use std::sync::Arc;
use std::time::Duration;

use hostler_api::{Code, Failure, RecordingQuery};
use hostler_wasm::record::Recorder;
use tokio::sync::mpsc;

use crate::plugins::Plugins;

/// Most bytes of one recording.
const MOST: usize = 64 << 20;
/// The longest that may be asked for.
const LONGEST: Duration = Duration::from_secs(3_600);
/// Calls that may wait for a slow reader; one that is slower still loses the rest.
const WAITING: usize = 4_096;

/// Begins to record. It ends after the time, when nobody reads any more, or when it is full.
pub(crate) fn begin(plugins: &Plugins, name: &str, asked: RecordingQuery) -> Result<mpsc::Receiver<Vec<u8>>, Failure> {
    let Some(plugin) = plugins.get(name) else {
        let failure = Failure::new(Code::NotFound, format!("plugin `{}` cannot be recorded: {}", name.escape_default(), plugins.why_not(name)));
        return Err(failure.hint("`hostler plugin list` shows every plugin"));
    };
    let (tell, told) = mpsc::channel(WAITING);
    let lines = tell.clone();
    let recorder = Recorder::new(&plugin, MOST, move |line| lines.try_send(line).is_ok());
    if !plugin.lend_tap(Arc::new(recorder)) {
        return Err(Failure::new(Code::Conflict, format!("plugin `{name}` is being recorded already")).hint("wait until that recording has ended"));
    }
    let time = Duration::from_millis(asked.for_ms).min(LONGEST);
    tokio::spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = tell.closed() => {}
        }
        // calls that run keep their tap, and are the last lines
        plugin.set_tap(None);
    });
    Ok(told)
}
