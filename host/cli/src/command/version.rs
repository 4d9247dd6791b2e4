//! `hostler version`

use hostler_api::Shape;

use crate::context::Context;
use crate::error::Error;

pub(crate) fn run(context: &Context) -> Result<(), Error> {
    let version = env!("CARGO_PKG_VERSION");
    if context.out.json {
        let document = serde_json::json!({ "version": Shape, "hostler_version": version });
        return context.out.document(document.to_string().as_bytes());
    }
    context.out.line(format!("hostler {version}"))
}
