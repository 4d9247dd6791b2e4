//! The service instances' document, asked by a client that knows nothing else, against a real engine.

use hostler_e2e::until;
use hostler_engines::Docked;

#[test]
fn a_client_of_the_instance_document_runs_a_container() {
    let Some(docked) = Docked::new() else { return };
    docked.yard.up(&docked.plugin(""));
    let made = docked.docker(&["create", docked.image()]).ok().trim().to_owned();
    let image = format!("hostler-test-document/instance:p{}", std::process::id());
    // The first process of a container hears no SIGTERM that it does not ask for.
    let serve = r#"CMD ["sh","-c","trap exit TERM; echo fine >/tmp/index.html; httpd -f -p 80 -h /tmp & wait"]"#;
    docked.docker(&["commit", "--change", serve, &made, &image]).ok();
    docked.docker(&["rm", &made]).ok();
    docked.yard.plays("kyozo_client.py", "container", &[&image]);
    until("no container is left", || docked.docker(&["ps", "--all", "--quiet", "--filter", "label=hostler.service=page"]).out.is_empty());
    docked.docker(&["rmi", "--force", &image]).ok();
}
