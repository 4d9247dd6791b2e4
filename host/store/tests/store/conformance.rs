//! Both engines do what the contract says.

use std::cell::Cell;

use hostler_store::{Memory, Sqlite, conformance};

#[test]
fn memory_keeps_the_contract() {
    conformance::run(|| Box::new(Memory::new()));
}

#[test]
fn sqlite_keeps_the_contract() {
    let state = tempfile::tempdir().unwrap();
    let count = Cell::new(0);
    conformance::run(|| {
        count.set(count.get() + 1);
        Box::new(Sqlite::open(state.path().join(format!("store-{}.db", count.get()))).unwrap())
    });
}
