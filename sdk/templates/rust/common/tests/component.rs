//! The component as a host would load it: built and checked with the program `hostler` (on the search path, or named by `HOSTLER`).

use hostler_sdk::test::Component;

#[test]
fn the_component_keeps_the_contract() {
    Component::build(env!("CARGO_MANIFEST_DIR")).check();
}
