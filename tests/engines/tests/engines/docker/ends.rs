//! How containers end, and what is known of it.

use hostler_e2e::until;
use hostler_engines::Docked;

use super::script;

const ONCE: &str = "restart = { policy = \"never\" }";

#[test]
fn every_end_is_told_as_it_is_known() {
    let Some(docked) = Docked::new() else { return };
    let ends = [("zero", "exit 0"), ("one", "exit 1"), ("said", "exit 137"), ("term", "exit 143")];
    let mut services: String = ends.iter().map(|(name, text)| docked.service(name, &script(text), ONCE)).collect();
    let hungry = "command = [\"sh\", \"-c\", \"tail /dev/zero\"]";
    services += &docked.service("hungry", hungry, &format!("{ONCE}\nresources = {{ memory = \"8Mi\" }}"));
    docked.try_up(&services);
    for (name, code) in [("zero", 0), ("one", 1), ("said", 137), ("term", 143)] {
        let exit = ended(&docked, name);
        assert_eq!(exit["code"], code, "{name}: {exit}");
        assert!(exit["signal"].is_null() && exit["out_of_memory"] != true, "{name}: {exit}");
    }
    // The engine hears of the memory beside the end, and now and then after it: then it is asked to end so once more.
    let is_told = || ended(&docked, "hungry")["out_of_memory"] == true;
    until("an end for lack of memory is told as one", || is_told() || docked.yard.run("start hungry --no-wait").code != 0);
    assert!(is_told(), "{}", ended(&docked, "hungry"));
    docked.yard.kill_host();
    docked.yard.serve();
    assert_eq!(ended(&docked, "one")["code"], 1, "it is known after a restart too");
    assert_eq!(docked.yard.status("zero"), "completed");
}

fn ended(docked: &Docked, name: &str) -> hostler_e2e::Value {
    let exit = || docked.yard.detail(name)["replicas"][0]["last_exit"].clone();
    until(&format!("`{name}` has ended"), || exit().is_object());
    exit()
}

#[test]
fn a_loop_of_restarts_ends_with_its_reason() {
    let Some(docked) = Docked::new() else { return };
    let budget = "restart = { max_attempts = 3, backoff = { initial = \"10ms\", jitter = 0 } }";
    docked.try_up(&docked.service("loops", &script("echo again; exit 7"), budget));
    docked.yard.until_status("loops", "failed");
    let story = docked.yard.story("loops");
    assert!(story.iter().any(|line| line.contains("code 7") || line.contains("exit code 7") || line.contains(" 7")), "{story:#?}");
    until("what has ended is freed, but for the last", || docked.containers().len() <= 2);
    docked.yard.run("down").ok();
    until("nothing is left", || docked.containers().is_empty());
}
