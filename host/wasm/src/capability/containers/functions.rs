//! The contract's functions, one by one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use hostler_failpoint::failpoint;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{Ask, MANY, ONE, Trouble};
use super::engine::{Engine, Known};
use super::make::{check_image, check_name};
use super::pulls::{Failed, Key, Standing};
use super::{Containers, MARGIN, OWNER, convert, exec, logs, stats, visible};
use crate::bindings::hostler::host::commands::{Command, Output};
use crate::bindings::hostler::host::containers::{self, Container, Credentials, EngineInfo, Image, Limits, Lines, Pulled, Spec, Usage, Whose};
use crate::bindings::hostler::host::errors::Error;
use crate::capability::processes::{check_directory, check_env};
use crate::grant::containers::{Rules, Strangers, Verb};

/// Questions about several containers at a time.
const AT_ONCE: usize = 16;
/// Containers of one answer.
const MOST: usize = 10_000;
const MAX_LOG_READ_BYTES: u32 = 16 << 20;

impl containers::Host for Containers {
    async fn info(&mut self, engine: String) -> Result<EngineInfo, Error> {
        let (engine, _) = self.engine(&engine, Verb::Look)?;
        let asking = async {
            let api = engine.api.version().await?;
            let version = engine.api.json(Ask::get("/version"), ONE).await?;
            let info = engine.api.json(Ask::get("/info"), ONE).await?;
            Ok(convert::info(&info, &version, api, engine.api.endpoint().host()))
        };
        self.in_time(async { asking.await.map_err(|trouble| self.trouble(trouble)) }).await
    }

    async fn find_image(&mut self, engine: String, reference: String) -> Result<Option<Image>, Error> {
        let (engine, _) = self.engine(&engine, Verb::Look)?;
        check_image(&reference)?;
        self.in_time(self.image(engine, &reference)).await
    }

    async fn pull(&mut self, engine: String, reference: String, platform: Option<String>, credentials: Option<Credentials>) -> Result<Pulled, Error> {
        let (engine, rules) = self.engine(&engine, Verb::Pull)?;
        check_image(&reference)?;
        rules.admit_image(&reference).map_err(|what| self.denied(&what))?;
        self.in_time(self.fetch(engine, reference, platform, credentials)).await
    }

    async fn create(&mut self, engine: String, name: String, spec: Spec) -> Result<String, Error> {
        let (engine, rules) = self.engine(&engine, Verb::Run)?;
        check_name("container", &name)?;
        self.in_time(self.make(engine, rules, &name, spec)).await
    }

    async fn start(&mut self, engine: String, id: String) -> Result<(), Error> {
        let (engine, rules) = self.engine(&engine, Verb::Run)?;
        self.in_time(self.begin(engine, rules, &id)).await
    }

    async fn inspect(&mut self, engine: String, ids: Vec<String>) -> Result<Vec<Option<Container>>, Error> {
        let (engine, rules) = self.engine(&engine, Verb::Look)?;
        self.in_time(self.look(engine, rules, ids)).await
    }

    async fn stop(&mut self, engine: String, id: String, signal: String, grace: u64) -> Result<Container, Error> {
        let (engine, rules) = self.engine(&engine, Verb::Run)?;
        if !signal.is_empty() {
            check_signal(&signal)?;
        }
        self.in_time(self.end(engine, rules, &id, &signal, Duration::from_millis(grace))).await
    }

    async fn signal(&mut self, engine: String, id: String, signal: String) -> Result<(), Error> {
        let (engine, rules) = self.engine(&engine, Verb::Run)?;
        check_signal(&signal)?;
        self.in_time(async {
            let known = self.ours(engine, rules, &id).await?;
            match engine.api.done(Ask::post(format!("/containers/{}/kill", known.id)).with("signal", signal)).await {
                // it does not run
                Err(Trouble::Refused { status: 409 | 404, .. }) => Err(Error::NotFound),
                other => other.map_err(|trouble| self.trouble(trouble)),
            }
        })
        .await
    }

    async fn remove(&mut self, engine: String, id: String, force: bool) -> Result<(), Error> {
        let (engine, rules) = self.engine(&engine, Verb::Run)?;
        self.in_time(self.take_away(engine, rules, &id, force)).await
    }

    async fn update(&mut self, engine: String, id: String, limits: Limits) -> Result<(), Error> {
        let (engine, rules) = self.engine(&engine, Verb::Run)?;
        self.in_time(async {
            let known = self.ours(engine, rules, &id).await?;
            let mut body = json!({});
            super::make::limits(&mut body, &limits);
            match engine.api.json(Ask::post(format!("/containers/{}/update", known.id)).body(body), ONE).await {
                Ok(_) => Ok(()),
                Err(Trouble::Refused { status: 409 | 500, message }) => Err(Error::Invalid(message)),
                // no such call: of a container that is not there an engine says that
                Err(Trouble::Refused { status: 404, message }) if message == "Not Found" => {
                    Err(Error::Invalid("the engine changes nothing while a container runs".to_owned()))
                }
                Err(trouble) => Err(self.trouble(trouble)),
            }
        })
        .await
    }

    async fn list(&mut self, engine: String, whose: Whose, labels: Vec<(String, String)>) -> Result<Vec<Container>, Error> {
        let (engine, rules) = self.engine(&engine, Verb::Look)?;
        let least = match whose {
            Whose::Ours => Strangers::None,
            Whose::Tagged => Strangers::Tagged,
            Whose::All => Strangers::See,
        };
        if rules.strangers < least {
            let word = if least == Strangers::Tagged { "tagged" } else { "see" };
            return Err(self.denied(&format!("containers that this host has not made, `strangers = \"{word}\"` of the engine")));
        }
        self.in_time(self.survey(engine, rules, whose, labels)).await
    }

    async fn read_log(&mut self, engine: String, id: String, cursor: Option<String>, tail: Option<u32>, max_bytes: u32) -> Result<Lines, Error> {
        let (engine, rules) = self.engine(&engine, Verb::Logs)?;
        let parse = |text: String| logs::Place::parse(&text).ok_or_else(|| Error::Invalid(format!("{text:?} is no cursor of a container's log")));
        let cursor = cursor.map(parse).transpose()?;
        let most = usize::try_from(max_bytes.min(MAX_LOG_READ_BYTES)).unwrap_or(usize::MAX);
        self.in_time(async {
            let known = self.seen(engine, rules, &id).await?;
            logs::read(engine, &known, cursor, tail, most).await.map_err(|trouble| match trouble {
                Trouble::Refused { status: 500 | 501, message } if message.contains("does not support reading") => Error::Invalid(message),
                other => self.trouble(other),
            })
        })
        .await
    }

    async fn measure(&mut self, engine: String, ids: Vec<String>) -> Result<Vec<Option<Usage>>, Error> {
        let (engine, rules) = self.engine(&engine, Verb::Look)?;
        self.in_time(self.weigh(engine, rules, ids)).await
    }

    async fn exec(&mut self, engine: String, id: String, command: Command, deadline: u64) -> Result<Output, Error> {
        let (engine, rules) = self.engine(&engine, Verb::Exec)?;
        command.env.iter().try_for_each(|(name, value)| check_env(name, value))?;
        command.directory.as_deref().map_or(Ok(()), check_directory)?;
        if command.program.is_empty() || command.args.iter().chain([&command.program]).any(|word| word.contains('\0')) {
            return Err(Error::Invalid("a command is words without NUL, a program first".to_owned()));
        }
        self.in_time(self.run_inside(engine, rules, &id, command, Duration::from_millis(deadline))).await
    }

    async fn ensure_network(&mut self, engine: String, name: String, subnet: Option<String>, labels: Vec<(String, String)>) -> Result<bool, Error> {
        let (engine, rules) = self.engine(&engine, Verb::Network)?;
        check_name("network", &name)?;
        rules.admit_network(&name).map_err(|what| self.denied(&what))?;
        self.in_time(self.connect_by(engine, &name, subnet, labels)).await
    }
}

impl Containers {
    async fn image(&self, engine: &Engine, reference: &str) -> Result<Option<Image>, Error> {
        match engine.api.json(Ask::get(format!("/images/{reference}/json")), ONE).await {
            Ok(said) => Ok(convert::image(&said)),
            Err(Trouble::Refused { status: 404, .. }) => Ok(None),
            Err(trouble) => Err(self.trouble(trouble)),
        }
    }

    async fn fetch(&self, engine: &Arc<Engine>, reference: String, platform: Option<String>, login: Option<Credentials>) -> Result<Pulled, Error> {
        let user = login.as_ref().map(|login| login.user.clone());
        let auth = match login {
            Some(Credentials { user, password }) => {
                let password = self.scope.fill(password).await.map_err(Error::Unavailable)?;
                Some(base64url(json!({ "username": user, "password": password }).to_string().as_bytes()))
            }
            None => None,
        };
        let mut standing = engine.pulls.join(engine, Key { reference: reference.clone(), platform, user }, auth);
        let margin = MARGIN.min(self.scope.remaining() / 2);
        let until = self.scope.until().checked_sub(margin).unwrap_or_else(Instant::now);
        let ended = tokio::time::timeout_at(until, standing.wait_for(|it| !matches!(it, Standing::UnderWay(_)))).await;
        let ended = ended.map(|ended| ended.map(|it| it.clone()));
        match ended {
            Ok(Ok(Standing::Done)) => match self.image(engine, &reference).await? {
                Some(image) => Ok(Pulled::Done(image.digests.into_iter().next().unwrap_or(image.id))),
                None => Err(Error::Other(format!("the engine says that it has fetched `{reference}`, and does not have it"))),
            },
            Ok(Ok(Standing::Failed(failed))) => Err(match failed {
                Failed::Refused(why) => Error::Invalid(why),
                Failed::Away(why) => Error::Unavailable(why),
                Failed::Other(why) => Error::Other(why),
            }),
            Ok(Err(_)) => Err(Error::Unavailable(format!("the pull of `{reference}` was given up"))),
            Ok(Ok(Standing::UnderWay(_))) | Err(_) => {
                let line = standing.borrow().clone();
                Ok(Pulled::UnderWay(if let Standing::UnderWay(line) = line { line } else { "it ends".to_owned() }))
            }
        }
    }

    async fn make(&self, engine: &Engine, rules: &Rules, name: &str, spec: Spec) -> Result<String, Error> {
        let image = spec.image.clone();
        let platform = spec.platform.clone();
        let (body, networks) = self.admit(engine, rules, spec).await?;
        let mut ask = Ask::post("/containers/create").with("name", name).body(body);
        if let Some(platform) = platform {
            ask = ask.with("platform", platform);
        }
        failpoint!("host.container.before-make");
        let said = engine.api.json(ask, ONE).await.map_err(|trouble| match trouble {
            Trouble::Refused { status: 404, message } if !message.contains("No such image") && !message.contains(&image) => Error::Invalid(message),
            Trouble::Refused { status: 500, message } if !super::is_full(&message) => Error::Invalid(message),
            other => self.trouble(other),
        })?;
        let Some(id) = said["Id"].as_str().map(str::to_owned) else { return Err(Error::Timeout) };
        failpoint!("host.container.made");
        for (network, endpoint) in networks {
            let body = json!({ "Container": id, "EndpointConfig": endpoint });
            if let Err(trouble) = engine.api.done(Ask::post(format!("/networks/{network}/connect")).body(body)).await {
                // half of what was asked for is nothing
                let _ = engine.api.done(Ask::delete(format!("/containers/{id}")).with("v", 1).with("force", 1)).await;
                return Err(match trouble {
                    Trouble::Refused { message, .. } => Error::Invalid(format!("network `{network}`: {message}")),
                    other => self.trouble(other),
                });
            }
            failpoint!("host.container.connected");
        }
        Ok(id)
    }

    async fn begin(&self, engine: &Engine, rules: &Rules, id: &str) -> Result<(), Error> {
        let known = self.ours(engine, rules, id).await?;
        if known.ours {
            self.check_mounts(engine, rules, &known).await?;
        }
        failpoint!("host.container.before-start");
        engine.api.done(Ask::post(format!("/containers/{}/start", known.id))).await.map_err(|trouble| match trouble {
            Trouble::Refused { message, .. } if is_taken(&message) => Error::Conflict(message),
            Trouble::Refused { status: 404, message } if !message.contains("No such container") => Error::Invalid(message),
            Trouble::Refused { status: 500, message } if cannot_run(&message) => Error::Invalid(message),
            other => self.trouble(other),
        })?;
        failpoint!("host.container.started");
        Ok(())
    }

    /// Between a container's making and each of its starts somebody may have put a symlink into the place of what was admitted.
    async fn check_mounts(&self, engine: &Engine, rules: &Rules, known: &Known) -> Result<(), Error> {
        let said = engine.look(&known.id).await.map_err(|trouble| self.trouble(trouble))?.ok_or(Error::NotFound)?;
        let sources = convert::items(&said["HostConfig"]["Mounts"]).filter(|mount| mount["Type"] == "bind");
        for source in sources.filter_map(|mount| mount["Source"].as_str()) {
            if !rules.mounts.still(source) {
                return Err(self.denied(&format!("mount of `{source}`, which leads elsewhere now")));
            }
        }
        Ok(())
    }

    async fn look(&self, engine: &Engine, rules: &Rules, ids: Vec<String>) -> Result<Vec<Option<Container>>, Error> {
        let looks = stream::iter(ids).map(|id| async move { self.look_at(engine, rules, &id).await });
        looks.buffered(AT_ONCE).try_collect().await
    }

    async fn look_at(&self, engine: &Engine, rules: &Rules, id: &str) -> Result<Option<Container>, Error> {
        let Some(said) = engine.look(id).await.map_err(|trouble| self.trouble(trouble))? else { return Ok(None) };
        if !engine.read(&said).is_some_and(|known| visible(rules, &known)) {
            return Ok(None);
        }
        // what cannot be read is there all the same
        convert::container(&said).map(Some).ok_or_else(|| Error::Other(format!("the engine says nothing of container `{id}` that can be read")))
    }

    /// Sends the signal, or the container's own, waits, kills and waits again.
    async fn end(&self, engine: &Engine, rules: &Rules, id: &str, signal: &str, grace: Duration) -> Result<Container, Error> {
        let until = Instant::now().checked_add(grace);
        let known = self.ours(engine, rules, id).await?;
        let id = known.id.as_str();
        loop {
            let said = engine.look(id).await.map_err(|trouble| self.trouble(trouble))?.ok_or(Error::NotFound)?;
            let state = &said["State"];
            if state["Paused"] == true {
                self.over(engine.api.done(Ask::post(format!("/containers/{id}/unpause"))).await)?;
                continue;
            }
            if state["Running"] != true && state["Restarting"] != true {
                break;
            }
            let own = said["Config"]["StopSignal"].as_str().filter(|own| !own.is_empty()).unwrap_or("SIGTERM");
            let signal = if signal.is_empty() { own } else { signal };
            failpoint!("host.container.before-signal");
            self.over(engine.api.done(Ask::post(format!("/containers/{id}/kill")).with("signal", signal)).await)?;
            failpoint!("host.container.signalled");
            let waited = match until {
                Some(until) => tokio::time::timeout_at(until, self.wait(engine, id)).await,
                None => Ok(self.wait(engine, id).await),
            };
            if let Ok(ended) = waited {
                ended?;
            } else {
                failpoint!("host.container.before-kill");
                self.over(engine.api.done(Ask::post(format!("/containers/{id}/kill")).with("signal", "SIGKILL")).await)?;
                failpoint!("host.container.killed");
                self.wait(engine, id).await?;
            }
            failpoint!("host.container.ended");
            break;
        }
        let said = engine.look(id).await.map_err(|trouble| self.trouble(trouble))?.ok_or(Error::NotFound)?;
        convert::container(&said).ok_or_else(|| Error::Other("the engine says nothing of it that can be read".to_owned()))
    }

    /// Returns once it does not run.
    async fn wait(&self, engine: &Engine, id: &str) -> Result<(), Error> {
        let ask = Ask::post(format!("/containers/{id}/wait")).with("condition", "not-running").harmless();
        let waiting = async {
            let mut reply = engine.api.stream(ask).await?;
            while reply.next().await?.is_some() {}
            Ok(())
        };
        self.over(waiting.await)
    }

    /// It had ended before it was asked to, or it is gone.
    fn over(&self, done: Result<(), Trouble>) -> Result<(), Error> {
        match done {
            Err(Trouble::Refused { status: 404 | 409, .. }) => Ok(()),
            other => other.map_err(|trouble| self.trouble(trouble)),
        }
    }

    async fn take_away(&self, engine: &Engine, rules: &Rules, id: &str, force: bool) -> Result<(), Error> {
        let known = match self.ours(engine, rules, id).await {
            Ok(known) => known,
            Err(Error::NotFound) => return Ok(()),
            Err(other) => return Err(other),
        };
        let id = known.id.as_str();
        let ask = Ask::delete(format!("/containers/{id}")).with("v", 1).with("force", force);
        failpoint!("host.container.before-remove");
        let done = engine.api.done(ask).await;
        failpoint!("host.container.removed");
        match done {
            Ok(()) | Err(Trouble::Refused { status: 404, .. }) => Ok(()),
            Err(Trouble::Refused { status: 409, message }) if message.contains("already in progress") => {
                const LOOK: Duration = Duration::from_millis(20);
                while engine.look(id).await.map_err(|trouble| self.trouble(trouble))?.is_some() {
                    tokio::time::sleep(LOOK).await;
                }
                Ok(())
            }
            Err(trouble) => Err(self.trouble(trouble)),
        }
    }

    async fn survey(&self, engine: &Engine, rules: &Rules, whose: Whose, labels: Vec<(String, String)>) -> Result<Vec<Container>, Error> {
        let mut wanted: Vec<String> = match whose {
            Whose::Ours => vec![format!("{OWNER}={}", self.scope.owner())],
            Whose::Tagged => vec![OWNER.to_owned()],
            Whose::All => Vec::new(),
        };
        wanted.extend(labels.iter().map(|(name, value)| if value.is_empty() { name.clone() } else { format!("{name}={value}") }));
        let ask = Ask::get("/containers/json").with("all", 1).with("filters", json!({ "label": wanted }));
        let said = engine.api.json(ask, MANY).await.map_err(|trouble| self.trouble(trouble))?;
        let Value::Array(all) = said else { return Err(Error::Other("the engine's list of containers is none".to_owned())) };
        if all.len() > MOST {
            return Err(Error::Other(format!("the engine has {} containers, and {MOST} are the most that can be listed", all.len())));
        }
        let ids: Vec<String> = all.iter().filter_map(|one| one["Id"].as_str().map(str::to_owned)).collect();
        let found = self.look(engine, rules, ids).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn seen(&self, engine: &Engine, rules: &Rules, id: &str) -> Result<Known, Error> {
        make_sure(id)?;
        let known = engine.known(id).await.map_err(|trouble| self.trouble(trouble))?;
        known.filter(|known| visible(rules, known)).ok_or(Error::NotFound)
    }

    async fn weigh(&self, engine: &Engine, rules: &Rules, ids: Vec<String>) -> Result<Vec<Option<Usage>>, Error> {
        let free = stats::disk_free(engine).await.map_err(|trouble| self.trouble(trouble))?;
        let seen = stream::iter(ids).map(|id| async move {
            match self.seen(engine, rules, &id).await {
                Ok(known) => Ok(Some(known.id)),
                Err(Error::NotFound) => Ok(None),
                Err(other) => Err(other),
            }
        });
        let seen: Vec<Option<String>> = seen.buffered(AT_ONCE).try_collect().await?;
        let usages = stats::measure(engine, seen).await.map_err(|trouble| self.trouble(trouble))?;
        Ok(usages.into_iter().map(|usage| usage.map(|usage| Usage { disk_free_bytes: free, ..usage })).collect())
    }

    async fn run_inside(&self, engine: &Arc<Engine>, rules: &Rules, id: &str, command: Command, deadline: Duration) -> Result<Output, Error> {
        let known = self.ours(engine, rules, id).await?;
        let env = self.scope.fill_env(command.env).await.map_err(Error::Unavailable)?;
        env.iter().try_for_each(|(name, value)| check_env(name, value))?;
        let stdin = self.scope.fill_bytes(command.stdin).await.map_err(Error::Unavailable)?;
        // what is late is ended within the call, so that its end can be told
        let margin = (MARGIN * 2).min(self.scope.remaining() / 4);
        let last = self.scope.until().checked_sub(margin).unwrap_or_else(Instant::now);
        let until = Instant::now().checked_add(deadline).map_or(last, |end| end.min(last));
        let job = exec::Job { command: Command { env, stdin, ..command }, until };
        let running = tokio::spawn(exec::run(Arc::clone(engine), known, job));
        let ran = running.await.map_err(|_| Error::Other("the command was given up".to_owned()))?;
        let output = ran.map_err(|unran| exec::error(unran, |trouble| self.trouble(trouble)))?;
        let cut = output.truncated;
        Ok(Output { out: self.scope.hide(output.out, cut).await, err: self.scope.hide(output.err, cut).await, ..output })
    }

    async fn connect_by(&self, engine: &Engine, name: &str, subnet: Option<String>, labels: Vec<(String, String)>) -> Result<bool, Error> {
        match engine.api.json(Ask::get(format!("/networks/{name}")), ONE).await {
            Ok(said) if said["Name"] == name => return Ok(false),
            Ok(_) | Err(Trouble::Refused { status: 404, .. }) => {}
            Err(trouble) => return Err(self.trouble(trouble)),
        }
        let mut all: serde_json::Map<String, Value> = labels.into_iter().map(|(name, value)| (name, json!(value))).collect();
        all.insert(OWNER.to_owned(), json!(self.scope.owner()));
        let mut body = json!({ "Name": name, "CheckDuplicate": true, "Driver": "bridge", "Labels": all });
        if let Some(subnet) = subnet {
            body["IPAM"] = json!({ "Config": [{ "Subnet": subnet }] });
        }
        let made = engine.api.json(Ask::post("/networks/create").body(body), ONE).await;
        failpoint!("host.network.made");
        match made {
            Ok(_) => Ok(true),
            // somebody was faster
            Err(Trouble::Refused { status: 409, message }) if message.contains("already exists") => Ok(false),
            Err(Trouble::Refused { status: 403 | 409 | 500, message }) => Err(Error::Invalid(message)),
            Err(trouble) => Err(self.trouble(trouble)),
        }
    }
}

fn make_sure(id: &str) -> Result<(), Error> {
    check_name("container", id)
}

/// A port of the machine is somebody else's. Engines say so in words alone.
fn is_taken(message: &str) -> bool {
    message.contains("port is already allocated") || message.contains("address already in use")
}

/// What the container is to run cannot run, today and tomorrow.
fn cannot_run(message: &str) -> bool {
    ["OCI runtime", "executable file not found", "failed to create shim", "mount", "Invalid container", "invalid"]
        .iter()
        .any(|word| message.contains(word))
        && !super::is_full(message)
}

fn check_signal(signal: &str) -> Result<(), Error> {
    let name = signal.strip_prefix("SIG").unwrap_or(signal);
    let fine = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"+-".contains(&byte);
    // no signal at all would be a question whether it runs
    if name.is_empty() || name.len() > 16 || !name.bytes().all(fine) || name == "0" {
        return Err(Error::Invalid(format!("{signal:?} is no signal; write, for example, SIGTERM")));
    }
    Ok(())
}

/// As the header of a login has it.
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            text.push(if place > three.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_written_as_engines_read_it() {
        let check = |text: &str, expected: &str| assert_eq!(base64url(text.as_bytes()), expected, "{text}");
        check("", "");
        check("f", "Zg==");
        check("fo", "Zm8=");
        check("foo", "Zm9v");
        check("foob~~?", "Zm9vYn5-Pw==");
    }

    #[test]
    fn signals_are_names() {
        for fine in ["SIGTERM", "TERM", "SIGRTMIN+3", "9"] {
            assert!(check_signal(fine).is_ok(), "{fine}");
        }
        for wrong in ["", "SIG", "0", "sigterm", "SIGTERM&x=1", "SIG TERM"] {
            assert!(check_signal(wrong).is_err(), "{wrong}");
        }
    }
}
