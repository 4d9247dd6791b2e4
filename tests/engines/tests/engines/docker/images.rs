//! Images as replica sets.

use hostler_e2e::{Value, until, until_nothing, until_some};
use hostler_engines::Docked;

/// Wants an image whose containers serve a page, and takes it away again.
struct Wanted<'a> {
    docked: &'a Docked,
    image: String,
}

impl<'a> Wanted<'a> {
    /// An image of its own, so that tests do not meet; its containers serve a page at port 80.
    #[track_caller]
    fn new(docked: &'a Docked, name: &str) -> Self {
        let made = docked.docker(&["create", docked.image()]).ok().trim().to_owned();
        let image = format!("hostler-test-image/{name}:p{}", std::process::id());
        // the first process of a container hears no SIGTERM that it does not ask for
        let serve = r#"CMD ["sh","-c","trap exit TERM; echo fine >/tmp/index.html; httpd -f -p 80 -h /tmp & wait"]"#;
        docked.docker(&["commit", "--change", serve, &made, &image]).ok();
        docked.docker(&["rm", &made]).ok();
        Wanted { docked, image }
    }

    fn containers(&self) -> Vec<Value> {
        let list: Value = hostler_e2e::parse(&self.docked.yard.run(&format!("image ls {} --json", self.image)).ok()).expect("a document");
        list["containers"].as_array().cloned().unwrap_or_default()
    }

    #[track_caller]
    fn until_running(&self, count: usize) -> Vec<String> {
        let told = || {
            let containers = self.containers();
            let running = containers.iter().all(|container| container["status"] == "running");
            (containers.len() == count && running)
                .then(|| containers.iter().filter_map(|container| container["container_id"].as_str().map(str::to_owned)).collect::<Vec<_>>())
        };
        until_some(&format!("{count} containers run"), told);
        // What the host has not yet missed is still told.
        let mut ids = Vec::new();
        until_nothing("the engine says so, too", || {
            let listed = self.listed();
            ids = told().unwrap_or_default();
            let known = |id: &String| listed.iter().any(|short| id.starts_with(short.as_str()));
            let same = listed.len() == count && ids.len() == count && ids.iter().all(known);
            (!same).then(|| format!("it has {listed:?}, and {ids:?} were told\n{}", self.docked.yard.run("events").out))
        });
        ids
    }

    /// What runs of it, as the engine itself says.
    #[track_caller]
    fn listed(&self) -> Vec<String> {
        self.docked.docker(&["ps", "--quiet", "--filter", &self.label()]).ok().lines().map(str::to_owned).collect()
    }

    /// What its containers bear: the name of the service is made of the image's.
    fn label(&self) -> String {
        let service = self.image.rsplit('/').next().expect("a name has parts").replace(':', "-");
        format!("label=hostler.service={service}")
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.docked.yard.run("down --force");
        for id in self.docked.docker(&["ps", "--all", "--quiet", "--filter", &self.label()]).out.lines() {
            self.docked.docker(&["rm", "--force", "--volumes", id]);
        }
        self.docked.docker(&["rmi", "--force", &self.image]);
    }
}

#[test]
fn an_image_is_kept_at_a_number_of_containers() {
    let Some(docked) = Docked::new() else { return };
    let yard = &docked.yard;
    yard.up(&docked.plugin(""));
    let wanted = Wanted::new(&docked, "web");
    let image = &wanted.image;
    yard.run(&format!("image run {image} --min 1 --max 3 --publish 80 --cpu 500m --memory 64m --env A=1")).ok();
    let one = wanted.until_running(1);

    // The number that is wanted survives a host, and the containers do not notice.
    yard.run(&format!("image scale {image} --min 3 --max 4")).ok();
    let three = wanted.until_running(3);
    assert!(three.contains(&one[0]), "the first one goes on");
    yard.kill_host();
    yard.serve();
    assert_eq!(wanted.until_running(3), three);

    // What is taken away is made again.
    docked.docker(&["rm", "--force", &three[2]]).ok();
    yard.run(&format!("image reconcile {image}")).ok();
    let healed = wanted.until_running(3);
    assert_eq!(healed.iter().filter(|id| three.contains(id)).count(), 2, "{healed:?}, {three:?}");

    let mut health = Vec::new();
    until_nothing("each container answers and is measured", || {
        let told: Value = hostler_e2e::parse(&yard.run(&format!("image health {image} --json")).ok()).expect("a document");
        health = told["health"].as_array().cloned().unwrap_or_default();
        let known = |one: &Value| one["server_alive"] == true && one["cpu_percent"].is_number() && one["mem_percent"].is_number();
        (health.len() != 3 || !health.iter().all(known)).then(|| format!("it is told: {told:#}"))
    });
    assert!(health.iter().all(|one| one["ports"]["80/tcp"][0]["HostPort"].as_str().is_some_and(|port| port.parse::<u16>().is_ok())), "{health:#?}");

    // Another definition replaces each of them.
    yard.run(&format!("image run {image} --min 1 --max 2 --publish 80 --memory 64m --env A=2")).ok();
    let two = until_some("two containers with the new definition", || {
        let ids = wanted.listed();
        // An old one may be gone since it was listed.
        let new = |id: &String| docked.docker(&["inspect", "--format", "{{.Config.Env}}", id]).out.contains("A=2");
        (ids.len() == 2 && ids.iter().all(new)).then_some(ids)
    });
    assert!(two.iter().all(|id| !healed.iter().any(|old| old.starts_with(id))));

    // A file knows nothing of it, and takes nothing away.
    yard.config(&docked.plugin(""));
    yard.run("apply").ok();
    assert_eq!(wanted.listed().len(), 2);
    let list: Value = hostler_e2e::parse(&yard.run("image ls --json").ok()).expect("a document");
    let entry = &list["images"][0];
    assert_eq!(
        (&entry["image"], &entry["min_replicas"], &entry["max_replicas"], &entry["replicas"]),
        (&image.as_str().into(), &1.into(), &2.into(), &2.into())
    );
    assert_eq!((&entry["env"]["A"], &entry["resources"]["memory"]), (&"2".into(), &"64m".into()));

    yard.run(&format!("image run {image} --min 1 --max 2 --publish 80 --memory 64m --env A=2 --stopped")).ok();
    until("they are down", || wanted.listed().is_empty());
    yard.run(&format!("image run {image} --min 1 --max 2 --publish 80 --memory 64m --env A=2")).ok();
    until("and up again", || wanted.listed().len() == 2);

    yard.run(&format!("image rm {image} --force")).ok();
    until("nothing of it is left", || docked.docker(&["ps", "--all", "--quiet", "--filter", &wanted.label()]).ok().trim().is_empty());
    let gone = yard.run(&format!("image ls {image}"));
    assert!(gone.code == 1 && gone.err.contains("nothing is wanted"), "{}", gone.err);
}

#[test]
fn bad_wishes_are_refused_and_change_nothing() {
    let Some(docked) = Docked::new() else { return };
    let yard = &docked.yard;
    yard.up(&docked.plugin(""));
    let refused = |line: &str, expected: &str| {
        let ran = yard.run(line);
        assert!(ran.code != 0 && ran.err.contains(expected), "{line}: {} {}", ran.code, ran.err);
    };
    refused("image run busybox --min 3 --max 2", "max_replicas");
    refused("image run busybox --memory lots", "memory");
    refused("image run busybox --publish x", "--publish");
    refused("image run busybox --env A", "--env");
    refused("image run busybox --backend nothing", "nothing");
    refused("image scale busybox --min 1 --max 2", "nothing is wanted");
    refused("image rm busybox", "nothing is wanted");
    let list: Value = hostler_e2e::parse(&yard.run("image ls --json").ok()).expect("a document");
    assert_eq!(list["images"].as_array().map(Vec::len), Some(0));
}
