//! What `hostler import` makes of Compose files is what the backends take.

use std::fs;

use hostler_e2e::{Ran, Yard, root};

/// The variables that a file asks for and has no other word for.
fn variables(text: &str) -> Vec<String> {
    let inside = text.match_indices("${").filter_map(|(at, open)| text[at + open.len()..].split_once('}'));
    let name = |inside: &str| inside.split([':', '?']).next().unwrap_or_default().to_owned();
    inside.filter(|(inside, _)| !inside.contains('-')).map(|(inside, _)| name(inside)).collect()
}

#[test]
fn every_setting_of_an_imported_stack_is_known_to_its_backend() {
    let yard = Yard::new();
    let _host = yard.stay("serve");
    hostler_e2e::until("the host is there", || yard.get("/services").is_some());
    let plan = |file: &std::path::Path| {
        let text = fs::read_to_string(file).expect("it can be read");
        Ran::of(
            yard.command("plan -f")
                .arg(file)
                .envs(variables(&text).into_iter().filter(|name| std::env::var_os(name).is_none()).map(|name| (name, "1"))),
        )
    };
    let mut stacks = 0;
    for entry in fs::read_dir(root().join("sdk/compose/tests/stacks")).expect("it is there") {
        let file = entry.expect("it can be read").path().join("hostler.toml");
        assert!(plan(&file).ok().contains("create"), "{}", file.display());
        stacks += 1;
    }
    assert!(stacks >= 7, "only {stacks}");
    // and what is not known is refused
    let one = fs::read_to_string(root().join("sdk/compose/tests/stacks/wordpress/hostler.toml")).expect("it can be read");
    let wrong = yard.write("wrong.toml", one.replacen("image = ", "imagee = ", 1));
    assert!(plan(&wrong).fails(3).contains("imagee"));
}
