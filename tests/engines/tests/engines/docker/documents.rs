//! The image orchestrator's document, asked by a client that knows nothing else, against a real engine.

use hostler_engines::Docked;

/// Takes away what a client asked for, whatever became of it.
struct Asked<'a> {
    docked: &'a Docked,
    image: String,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.docked.yard.run("down --force");
        let service = self.image.rsplit('/').next().unwrap_or_default().replace(':', "-");
        let label = format!("label=hostler.service={service}");
        for id in self.docked.docker(&["ps", "--all", "--quiet", "--filter", &label]).out.lines() {
            self.docked.docker(&["rm", "--force", "--volumes", id]);
        }
        self.docked.docker(&["rmi", "--force", &self.image]);
    }
}

#[test]
fn a_client_of_the_image_document_runs_scales_stops_and_deletes() {
    let Some(docked) = Docked::new() else { return };
    docked.yard.up(&docked.plugin(""));
    let made = docked.docker(&["create", docked.image()]).ok().trim().to_owned();
    let asked = Asked { docked: &docked, image: format!("hostler-test-document/page:p{}", std::process::id()) };
    // The first process of a container hears no SIGTERM that it does not ask for.
    let serve = r#"CMD ["sh","-c","trap exit TERM; echo fine >/tmp/index.html; httpd -f -p 80 -h /tmp & wait"]"#;
    docked.docker(&["commit", "--change", serve, &made, &asked.image]).ok();
    docked.docker(&["rm", &made]).ok();
    docked.yard.plays("fastapi_client.py", "images", &[&asked.image]);
}
