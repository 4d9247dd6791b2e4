//! Every rule, on the project as it stands.

use hostler_tidy::{Problem, Tree, arrows, assert_none, docs, failpoints, manifests, purity, shape, wit, words};

fn hold(rule: fn(&Tree) -> Vec<Problem>) {
    assert_none(rule(&Tree::of_project()));
}

#[test]
fn rooms_know_only_whom_they_may() {
    hold(arrows::problems);
}

#[test]
fn every_room_of_the_table_exists() {
    hold(arrows::missing_rooms);
}

#[test]
fn every_dependency_has_its_reason() {
    hold(manifests::uncommented_dependencies);
}

#[test]
fn versions_and_lints_are_shared() {
    hold(manifests::strays);
}

#[test]
fn planted_faults_stay_out_of_the_product() {
    hold(manifests::planted);
}

#[test]
fn each_failpoint_is_listed_and_passed() {
    hold(failpoints::problems);
}

#[test]
fn failpoints_stay_out_of_the_product() {
    hold(failpoints::in_the_product);
}

#[test]
fn core_touches_nothing() {
    hold(purity::problems);
}

#[test]
fn clippy_refuses_the_world_in_core() {
    hold(purity::clippy);
}

#[test]
fn one_room_says_wasmtime() {
    hold(words::wasmtime);
}

#[test]
fn one_place_prints() {
    hold(words::printing);
}

#[test]
fn every_exception_from_a_lint_has_its_reason() {
    hold(words::unexplained_exceptions);
}

#[test]
fn unsafe_code_was_reviewed() {
    hold(words::unsafe_code);
}

#[test]
fn tests_wait_for_events() {
    hold(words::sleeping_tests);
}

#[test]
fn nothing_is_left_for_later() {
    hold(words::leftovers);
}

#[test]
fn files_are_one_thing_each() {
    hold(shape::problems);
}

#[test]
fn every_file_is_compiled() {
    hold(shape::dead_files);
}

#[test]
fn the_contract_is_documented() {
    hold(wit::problems);
}

#[test]
fn what_people_look_for_is_there() {
    hold(docs::expected_files);
}

#[test]
fn examples_are_told_and_played() {
    hold(docs::examples);
}

#[test]
fn scripts_stop_where_they_fail() {
    hold(docs::careless_scripts);
}

#[test]
fn links_lead_somewhere() {
    hold(docs::broken_links);
}
