use super::*;
use crate::health::Health;
use crate::spec::Category;
use crate::time::Span;
use crate::view::Status;

fn db() -> Subject {
    Subject::Service(ServiceName::new("db").expect("a name"))
}

fn rule(name: &str, trigger: Trigger, hold: u64) -> AlertRule {
    let (services, categories, sinks) = (Vec::new(), Vec::new(), Vec::new());
    AlertRule { name: name.to_owned(), trigger, hold: Span::secs(hold), severity: Severity::Warning, services, categories, sinks }
}

fn alerts(rule: AlertRule) -> Alerts {
    let mut alerts = Alerts::default();
    alerts.set_rules([(rule.name.clone(), rule)].into());
    alerts
}

fn healthy(health: Health) -> Facts {
    Facts { status: Some(Status::Running), health: Some(health), ..Facts::default() }
}

fn at(secs: u64) -> Time {
    Time(1_000_000 + secs * 1_000)
}

/// `+` fired, `-` resolved.
fn signs(turns: &[AlertTurn]) -> String {
    turns.iter().map(|turn| if matches!(turn, AlertTurn::Fired { .. }) { '+' } else { '-' }).collect()
}

#[test]
fn it_fires_once_it_has_held_for_its_time_and_is_resolved_once() {
    let mut alerts = alerts(rule("ill", Trigger::Unhealthy, 60));
    let mut hear = |secs, health| signs(&alerts.observe(at(secs), &db(), Some(&healthy(health))));
    assert_eq!(hear(0, Health::Unhealthy), "");
    assert_eq!(hear(59, Health::Unhealthy), "");
    assert_eq!(hear(60, Health::Unhealthy), "+");
    assert_eq!(hear(600, Health::Unhealthy), "");
    assert_eq!(hear(601, Health::Healthy), "-");
    assert_eq!(hear(602, Health::Healthy), "");
}

#[test]
fn time_alone_makes_it_due() {
    let mut alerts = alerts(rule("ill", Trigger::Unhealthy, 60));
    alerts.observe(at(0), &db(), Some(&healthy(Health::Unhealthy)));
    assert_eq!(alerts.poll_timeout(), Some(at(60)));
    assert_eq!(signs(&alerts.tick(at(59))), "");
    assert_eq!(signs(&alerts.tick(at(60))), "+");
    assert_eq!(alerts.poll_timeout(), None);
}

#[test]
fn what_is_well_in_between_begins_anew() {
    let mut alerts = alerts(rule("ill", Trigger::Unhealthy, 60));
    for (secs, health) in [(0, Health::Unhealthy), (50, Health::Healthy), (55, Health::Unhealthy), (110, Health::Unhealthy)] {
        assert_eq!(signs(&alerts.observe(at(secs), &db(), Some(&healthy(health)))), "", "{secs}");
    }
    assert_eq!(signs(&alerts.tick(at(115))), "+");
}

#[test]
fn what_nobody_can_say_neither_fires_nor_resolves() {
    let mut alerts = alerts(rule("ill", Trigger::Unhealthy, 60));
    alerts.observe(at(0), &db(), Some(&healthy(Health::Unhealthy)));
    alerts.observe(at(10), &db(), Some(&healthy(Health::Unknown)));
    assert_eq!((alerts.poll_timeout(), signs(&alerts.tick(at(100)))), (None, String::new()));
    assert_eq!(signs(&alerts.observe(at(101), &db(), Some(&healthy(Health::Unhealthy)))), "+", "it has been so since the beginning");
    assert_eq!(signs(&alerts.observe(at(102), &db(), Some(&healthy(Health::Unknown)))), "");
    assert_eq!(signs(&alerts.observe(at(103), &db(), Some(&healthy(Health::Healthy)))), "-");
}

#[test]
fn degraded_that_gets_worse_is_not_over() {
    let mut alerts = alerts(rule("weak", Trigger::Degraded, 0));
    let mut hear = |secs, health| signs(&alerts.observe(at(secs), &db(), Some(&healthy(health))));
    assert_eq!(hear(0, Health::Degraded), "+");
    assert_eq!(hear(1, Health::Unhealthy), "");
    assert_eq!(hear(2, Health::Degraded), "");
    assert_eq!(hear(3, Health::Healthy), "-");
}

#[test]
fn what_is_stopped_by_request_is_not_wrong_any_more() {
    let mut alerts = alerts(rule("ill", Trigger::Unhealthy, 0));
    alerts.observe(at(0), &db(), Some(&healthy(Health::Unhealthy)));
    let stopped = Facts { status: Some(Status::Stopped), health: Some(Health::Unknown), ..Facts::default() };
    assert_eq!(signs(&alerts.observe(at(1), &db(), Some(&stopped))), "-");
}

#[test]
fn restarts_count_within_their_time() {
    let mut alerts = alerts(rule("again", Trigger::Restarts { count: 3, within: Span::secs(100) }, 0));
    let facts = |times: &[u64]| Facts { status: Some(Status::Running), restarts: times.iter().map(|secs| at(*secs)).collect(), ..Facts::default() };
    assert_eq!(signs(&alerts.observe(at(50), &db(), Some(&facts(&[1, 40])))), "");
    assert_eq!(signs(&alerts.observe(at(90), &db(), Some(&facts(&[1, 40, 90])))), "+");
    assert_eq!(signs(&alerts.observe(at(100), &db(), Some(&facts(&[1, 40, 90])))), "");
    assert_eq!(signs(&alerts.observe(at(101), &db(), Some(&facts(&[1, 40, 90])))), "-");
}

#[test]
fn a_figure_fires_beyond_its_bound_and_not_at_it() {
    let above = Trigger::Metric { figure: Figure::Memory, bound: Bound::Above(100) };
    let below = Trigger::Metric { figure: Figure::ReplicasHealthy, bound: Bound::Below(2) };
    let facts = |figure, value| Facts { status: Some(Status::Running), figures: [(figure, value)].into(), ..Facts::default() };
    let check = |trigger: &Trigger, figure, value, holds: bool| {
        let finding = rule("x", trigger.clone(), 0).judge(at(0), &facts(figure, value));
        assert_eq!(matches!(finding, Finding::Holds(_)), holds, "{value}: {finding:?}");
    };
    check(&above, Figure::Memory, 100, false);
    check(&above, Figure::Memory, 101, true);
    check(&below, Figure::ReplicasHealthy, 2, false);
    check(&below, Figure::ReplicasHealthy, 1, true);
    assert_eq!(rule("x", above, 0).judge(at(0), &healthy(Health::Healthy)), Finding::Unknown, "what was not measured is not zero");
}

#[test]
fn uptime_is_held_against_its_own_window() {
    let trigger = Trigger::Uptime { below_permille: 990, window: Window::Day };
    let facts = |window, share| Facts { status: Some(Status::Running), uptime_permille: [(window, share)].into(), ..Facts::default() };
    let judge = |facts| rule("x", trigger.clone(), 0).judge(at(0), &facts);
    assert!(matches!(judge(facts(Window::Day, 989)), Finding::Holds(why) if why.contains("98.9 %")));
    assert!(matches!(judge(facts(Window::Day, 990)), Finding::Clear(_)));
    assert_eq!(judge(facts(Window::Hour, 0)), Finding::Unknown);
}

#[test]
fn a_rule_is_about_whom_it_names() {
    let acme = Subject::Service(ServiceName::read("acme.db").expect("a name"));
    let plugin = Subject::Plugin("process".to_owned());
    let named =
        |services: &[&str], trigger| AlertRule { services: services.iter().map(|name| (*name).to_owned()).collect(), ..rule("x", trigger, 0) };
    assert!(rule("x", Trigger::Failed, 0).is_about(&acme));
    assert!(named(&["acme.*"], Trigger::Failed).is_about(&acme) && !named(&["acme.*"], Trigger::Failed).is_about(&db()));
    assert!(!named(&["*"], Trigger::Failed).is_about(&plugin));
    assert!(named(&["proc*"], Trigger::PluginQuarantined).is_about(&plugin) && !named(&[], Trigger::PluginQuarantined).is_about(&db()));
    let rule = AlertRule { categories: vec![Category::Ai], ..rule("x", Trigger::Failed, 0) };
    let failed = |category| Facts { status: Some(Status::Failed), category: Some(category), ..Facts::default() };
    let mut alerts = alerts(rule);
    assert_eq!(signs(&alerts.observe(at(0), &db(), Some(&failed(Category::Application)))), "");
    assert_eq!(signs(&alerts.observe(at(1), &db(), Some(&failed(Category::Ai)))), "+");
    assert_eq!(signs(&alerts.observe(at(2), &db(), Some(&failed(Category::Application)))), "-");
}

#[test]
fn a_plugin_is_told_as_one() {
    let mut alerts = alerts(rule("bad", Trigger::PluginQuarantined, 0));
    let plugin = Subject::Plugin("process".to_owned());
    let facts = |why: Option<&str>| Facts { quarantine: Some(why.map(str::to_owned)), ..Facts::default() };
    assert_eq!(signs(&alerts.observe(at(0), &plugin, Some(&facts(Some("it traps"))))), "+");
    assert_eq!(signs(&alerts.observe(at(1), &plugin, Some(&facts(None)))), "-");
}

#[test]
fn what_goes_away_takes_its_alerts_with_it() {
    let mut alerts = alerts(rule("ill", Trigger::Unhealthy, 0));
    alerts.observe(at(0), &db(), Some(&healthy(Health::Unhealthy)));
    assert_eq!(alerts.subjects(), [db()].into());
    assert_eq!(signs(&alerts.observe(at(1), &db(), None)), "-");
    alerts.observe(at(2), &db(), Some(&healthy(Health::Unhealthy)));
    assert_eq!(signs(&alerts.set_rules(BTreeMap::new())), "-");
}

#[test]
fn a_host_that_begins_anew_repeats_nothing_and_forgets_nothing() {
    let key = AlertKey { rule: "ill".to_owned(), subject: db() };
    let mut alerts = Alerts::restore([(key, "is unhealthy".to_owned())]);
    let rule = rule("ill", Trigger::Unhealthy, 0);
    assert_eq!(signs(&alerts.set_rules([("ill".to_owned(), rule.clone())].into())), "");
    for health in [Health::Unknown, Health::Unhealthy] {
        assert_eq!(signs(&alerts.observe(at(0), &db(), Some(&healthy(health)))), "");
    }
    let other = AlertRule { trigger: Trigger::Failed, ..rule };
    assert_eq!(signs(&alerts.set_rules([("ill".to_owned(), other)].into())), "-", "what was told was something else");
}
