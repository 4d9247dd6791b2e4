//! Handles: what a backend needs to find a task again.

use crate::{Fault, bindings::imports::hostler::plugin::types};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A task's handle, as the backend's own type. The host stores it as JSON with a version, and never looks inside.
///
/// When the shape changes, count [`VERSION`](Self::VERSION) up, list the old one in [`OLDER`](Self::OLDER) and read it in
/// [`upgrade`](Self::upgrade): tasks keep running across an upgrade of the plugin.
///
/// ```
/// use hostler_sdk::Handle;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Container { engine: String, id: String }
///
/// impl Handle for Container {
///     const VERSION: u32 = 2;
///     const OLDER: &'static [u32] = &[1];
///     fn upgrade(version: u32, state: serde_json::Value) -> Option<Self> {
///         match version {
///             1 => Some(Self { engine: "local".into(), id: state["id"].as_str()?.into() }),
///             _ => None,
///         }
///     }
/// }
/// ```
pub trait Handle: Serialize + DeserializeOwned {
    /// Which shape this is.
    const VERSION: u32 = 1;

    /// Every older shape that [`upgrade`](Self::upgrade) reads.
    const OLDER: &'static [u32] = &[];

    /// Reads an older shape; nothing when it cannot.
    fn upgrade(_version: u32, _state: Value) -> Option<Self> {
        None
    }
}

/// Writes a handle for the host. One that cannot be written, or is over the contract's 4 KiB, is a fault of the plugin.
pub(crate) fn write<H: Handle>(handle: &H) -> Result<types::Handle, Fault> {
    let state = serde_json::to_vec(handle).map_err(|error| Fault::Other(format!("the handle cannot be written: {error}")))?;
    if state.len() > LIMIT {
        return Err(Fault::Other(format!("the handle has {} bytes, over the {LIMIT} that a host keeps", state.len())));
    }
    Ok(types::Handle { version: H::VERSION, state })
}

/// Reads a handle of any version that the plugin knows.
pub(crate) fn read<H: Handle>(handle: &types::Handle) -> Result<H, Fault> {
    let unreadable = || Fault::invalid("", format!("a handle of version {} is not readable by this version of the plugin", handle.version));
    if handle.version == H::VERSION {
        return serde_json::from_slice(&handle.state).map_err(|_| unreadable());
    }
    if !H::OLDER.contains(&handle.version) {
        return Err(unreadable());
    }
    let state = serde_json::from_slice(&handle.state).map_err(|_| unreadable())?;
    H::upgrade(handle.version, state).ok_or_else(unreadable)
}

/// Bytes of a handle, as the contract says.
const LIMIT: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Unit {
        name: String,
    }

    impl Handle for Unit {
        const VERSION: u32 = 2;
        const OLDER: &'static [u32] = &[1];
        fn upgrade(_version: u32, state: Value) -> Option<Self> {
            Some(Self { name: state.as_str()?.to_owned() })
        }
    }

    fn stored(version: u32, state: &str) -> types::Handle {
        types::Handle { version, state: state.as_bytes().to_vec() }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let unit = Unit { name: "web".into() };
        assert_eq!(read::<Unit>(&write(&unit).expect("it is small")).expect("it was written here"), unit);
    }

    #[test]
    fn an_older_handle_is_carried_over() {
        assert_eq!(read::<Unit>(&stored(1, r#""web""#)).expect("version 1 is known"), Unit { name: "web".into() });
    }

    #[test]
    fn a_newer_or_broken_handle_is_invalid() {
        for handle in [stored(3, r#"{"name":"web"}"#), stored(2, "{"), stored(2, "{}"), stored(1, "[]"), stored(1, "\u{0}")] {
            assert!(matches!(read::<Unit>(&handle), Err(Fault::Invalid(_))), "{handle:?}");
        }
    }

    #[test]
    fn a_handle_over_the_limit_is_refused_before_the_host_refuses_it() {
        assert!(matches!(write(&Unit { name: "x".repeat(5000) }), Err(Fault::Other(_))));
    }
}
