//! What every command needs: where the host is, which file is meant, and where to print.

use std::path::{Path, PathBuf};

use hostler_api::{Code, Failure, Secret};

use crate::args::Global;
use crate::client::{Client, Reach};
use crate::config::Look;
use crate::document;
use crate::error::{Error, usage};
use crate::host::Loudness;
use crate::out::{Out, colours_wanted};

/// Names of configuration files that are found without being named, the first one first.
const FILE_NAMES: [&str; 3] = ["hostler.toml", "hostler.yaml", "hostler.yml"];

/// One command's surroundings.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) out: Out,
}

impl Context {
    pub(crate) fn new(global: Global) -> Context {
        let out = Out::new(global.json, global.no_color);
        Context { global, out }
    }

    /// A caller of the host that is meant.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        let client = match self.remote()? {
            Some(client) => client,
            None => Client::new(&self.state_dir(None)?),
        };
        Ok(self.within(client))
    }

    /// The same caller, of the workspace that is named.
    pub(crate) fn within(&self, client: Client) -> Client {
        match self.global.workspace.as_deref().filter(|name| !name.is_empty()) {
            Some(workspace) => client.of(workspace),
            None => client,
        }
    }

    /// A caller of the host over TCP that is named, if one is.
    pub(crate) fn remote(&self) -> Result<Option<Client>, Error> {
        let Global { host: Some(url), token_file, ca, client_certificate, client_key, .. } = &self.global else { return Ok(None) };
        let certificate = match (client_certificate, client_key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => return Err(usage("a certificate and its key belong together").hint("name both: --client-certificate and --client-key").into()),
        };
        let token = token(token_file.as_deref(), |name| std::env::var(name).ok())?;
        let reach = Reach { url: url.clone(), token, ca: ca.clone(), certificate };
        Ok(Some(Client::remote(&reach)?))
    }

    /// Refuses where another machine is meant: what follows starts a host on this one.
    pub(crate) fn here(&self, what: &str) -> Result<(), Error> {
        match &self.global.host {
            None => Ok(()),
            Some(url) => {
                let hint = "leave --host and HOSTLER_HOST out, or change what runs there with `hostler apply`";
                Err(usage(format!("`hostler {what}` is for a host on this machine, and {url} is named")).hint(hint).into())
            }
        }
    }

    /// Where the host's state is: the option, else what the file says, else the user's default. Absolute.
    pub(crate) fn state_dir(&self, file: Option<&Path>) -> Result<PathBuf, Error> {
        if let Some(named) = &self.global.state_dir {
            return absolute(named);
        }
        if let Some(file) = self.found_file(file)
            && let Some(named) = document::state_dir(&file, self.look())?
        {
            return Ok(named);
        }
        default_state_dir(|name| std::env::var_os(name), rustix::process::geteuid().is_root()).map_err(Error::from)
    }

    /// The configuration file that is meant; it is an error when there is none.
    pub(crate) fn file(&self, positional: Option<&Path>) -> Result<PathBuf, Error> {
        if let (Some(one), Some(other)) = (positional, self.global.file.as_deref())
            && one != other
        {
            return Err(usage(format!("two files are named: {} and {}", one.display(), other.display())).into());
        }
        self.found_file(positional).ok_or_else(|| {
            Failure::new(Code::Invalid, "there is no configuration file here")
                .hint(format!("name one, or write {} in the current directory", FILE_NAMES.join(", ")))
                .into()
        })
    }

    /// How much a host in this process says of itself.
    pub(crate) fn loudness(&self, chatty: bool) -> Loudness {
        Loudness { chatty, verbose: self.global.verbose, no_color: self.global.no_color, to_file: false }
    }

    /// How mistakes in a file are drawn.
    pub(crate) fn look(&self) -> Look {
        match Look::of_stderr() {
            Look::Coloured if !colours_wanted(self.global.no_color) => Look::Drawn,
            look => look,
        }
    }

    /// The configuration file that is meant, if there is one.
    pub(crate) fn found_file(&self, positional: Option<&Path>) -> Option<PathBuf> {
        let named = positional.or(self.global.file.as_deref()).map(Path::to_owned);
        named.or_else(|| FILE_NAMES.iter().map(PathBuf::from).find(|file| file.is_file()))
    }
}

/// What the file says, else the environment. A token on the command line would be in every listing of processes.
fn token(file: Option<&Path>, env: impl Fn(&str) -> Option<String>) -> Result<Option<Secret>, Error> {
    let text = match file {
        Some(file) => Some(crate::config::read_text(file).map_err(|why| usage(format!("{}: {why}", file.display())))?),
        None => env("HOSTLER_TOKEN"),
    };
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).map(Secret::new))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    // Of what is there already, the plain path: it is what people compare.
    path.canonicalize().or_else(|_| std::path::absolute(path)).map_err(|error| usage(format!("`{}` is no directory: {error}", path.display())).into())
}

/// `/var/lib/hostler` of root, else below `$XDG_STATE_HOME` or `~/.local/state`.
fn default_state_dir(env: impl Fn(&str) -> Option<std::ffi::OsString>, root: bool) -> Result<PathBuf, Failure> {
    if root {
        return Ok(PathBuf::from("/var/lib/hostler"));
    }
    // The XDG rules: a relative path there is as good as none.
    let set = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    base.map(|base| base.join("hostler"))
        .ok_or_else(|| usage("there is no home directory to keep state in").hint("name a state directory with --state-dir"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_a_default() {
        let env = |pairs: &'static [(&str, &str)]| move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into());
        let of = |pairs, root| default_state_dir(env(pairs), root).map(|path| path.display().to_string()).map_err(|failure| failure.code);
        assert_eq!(of(&[("HOME", "/root")], true), Ok("/var/lib/hostler".to_owned()));
        assert_eq!(of(&[("HOME", "/home/ann")], false), Ok("/home/ann/.local/state/hostler".to_owned()));
        assert_eq!(of(&[("HOME", "/home/ann"), ("XDG_STATE_HOME", "/s")], false), Ok("/s/hostler".to_owned()));
        assert_eq!(of(&[("HOME", "/home/ann"), ("XDG_STATE_HOME", "s")], false), Ok("/home/ann/.local/state/hostler".to_owned()));
        assert_eq!(of(&[], false), Err(Code::Invalid));
    }
}
