//! `hostler plugin remove`

use hostler_api::{Code, Failure};

use super::configuration::{Configuration, is_toml};
use super::lock;
use crate::context::Context;
use crate::document::Wish;
use crate::error::Error;

/// Take a plugin out of the configuration and its lock; refused while a service uses it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which plugin
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let name = &args.name;
    let wish = Wish::read(context, None)?;
    let uses = |spec: &&hostler_core::Spec| spec.backend.plugin == *name || spec.checks.iter().any(|check| check.plugin == *name);
    let users: Vec<String> = wish.config.services.values().filter(uses).map(|spec| spec.name.to_string()).collect();
    if !users.is_empty() {
        let message = format!("plugin `{name}` is used by {}; nothing was changed", users.join(", "));
        return Err(Failure::new(Code::Conflict, message).at(wish.file.display().to_string()).hint("give these another one first").into());
    }
    let (path, mut pinned) = lock::read(&wish.file)?;
    let was_pinned = pinned.plugins.remove(name).is_some();
    if !wish.config.plugins.contains_key(name) {
        if was_pinned {
            lock::write(&path, &pinned)?;
            return context.out.line(format!("{name} is pinned no more; {} does not name it", wish.file.display()));
        }
        let message = format!("there is no plugin `{name}` in the configuration");
        return Err(Failure::new(Code::NotFound, message).at(wish.file.display().to_string()).into());
    }
    let toml = is_toml(&wish.file);
    if toml {
        let mut edited = Configuration::read(&wish.file)?;
        edited.remove_plugin(name);
        edited.write()?;
    }
    if was_pinned {
        lock::write(&path, &pinned)?;
    }
    let done = if toml {
        format!("{name} is taken out of {}; `hostler apply` unloads it", wish.file.display())
    } else {
        format!("{} is YAML, which is not changed here: take `plugins: {name}:` out of it, and apply it", wish.file.display())
    };
    context.out.line(done)
}
