use hostler_store::Memory;

use super::*;

fn keys(store: &Arc<dyn Store>) -> Arc<Keys> {
    Arc::new(Keys::recall(Arc::clone(store)).expect("what it wrote"))
}

async fn find(keys: &Arc<Keys>, caller: &str, key: &str) -> Found {
    keys.find(Name::new(caller, key), "digest".to_owned()).await.unwrap_or_else(|failure| panic!("{failure}"))
}

fn answered(status: u16) -> Fate {
    Fate::Answered(Answered { status, headers: Vec::new(), body: "{}".to_owned() })
}

#[tokio::test]
async fn a_key_is_new_once_and_then_over_also_for_the_next_host() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let first = keys(&store);
    let Found::New(begun) = find(&first, "me", "a").await else { panic!("it is new") };
    assert!(matches!(find(&first, "me", "a").await, Found::UnderWay(_)));
    assert!(matches!(find(&first, "you", "a").await, Found::New(_)), "another caller has keys of his own");
    begun.end(answered(200)).await.expect("it is written");
    for keys in [&first, &keys(&store)] {
        let Found::Over(known) = find(keys, "me", "a").await else { panic!("it is over") };
        assert_eq!((known.fate, known.digest.as_str()), (answered(200), "digest"));
    }
}

#[tokio::test]
async fn whoever_waits_hears_of_the_end() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let keys = keys(&store);
    let Found::New(begun) = find(&keys, "me", "a").await else { panic!("it is new") };
    let Found::UnderWay(mut under_way) = find(&keys, "me", "a").await else { panic!("it is under way") };
    let waiting = tokio::spawn(async move { under_way.changed().await });
    begun.end(answered(200)).await.expect("it is written");
    assert!(waiting.await.expect("it does not break").is_err(), "the end of the one is what the other waits for");
}

#[tokio::test]
async fn what_a_host_died_with_is_known_with_the_change_that_was_made_for_it() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let first = keys(&store);
    let Found::New(one) = find(&first, "me", "a").await else { panic!("it is new") };
    let Found::New(other) = find(&first, "me", "b").await else { panic!("it is new") };
    store.txn(other.parts().0.mark(Txn::new(), 7)).expect("nobody else writes");
    drop((one, other));
    let next = keys(&store);
    for (key, made) in [("a", None), ("b", Some(7))] {
        let Found::Left { generation, .. } = find(&next, "me", key).await else { panic!("{key} was begun") };
        assert_eq!(generation, made, "{key}");
    }
}

#[tokio::test]
async fn what_was_let_go_of_is_new_again() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let keys = keys(&store);
    let Found::New(begun) = find(&keys, "me", "a").await else { panic!("it is new") };
    begun.let_go().await.expect("it is written");
    assert!(matches!(find(&keys, "me", "a").await, Found::New(_)));
}

#[tokio::test]
async fn a_caller_has_only_so_many_and_old_ones_go() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let keys = keys(&store);
    let me = Name::new("me", "");
    let many = (0..MOST).map(|number| (number.to_string(), clock::wall_ms())).collect();
    keys.book().callers.insert(me.caller.clone(), many);
    let refused = keys.find(Name::new("me", "one more"), String::new()).await;
    assert!(refused.is_err_and(|failure| failure.code == Code::TooMany));
    assert!(matches!(find(&keys, "you", "a").await, Found::New(_)));
    keys.book().callers.get_mut(&me.caller).expect("it was just put there").values_mut().for_each(|at| *at -= KEPT_MS + 1);
    assert!(matches!(find(&keys, "me", "one more").await, Found::New(_)));
    assert_eq!(keys.book().callers[&me.caller].len(), 1);
}

#[tokio::test]
async fn a_key_that_is_too_old_goes_also_when_its_caller_comes_with_one_that_is_known() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let Found::New(begun) = find(&keys(&store), "me", "a").await else { panic!("it is new") };
    begun.end(answered(200)).await.expect("it is written");
    let old = format!("{PREFIX}{}", Name::new("me", "old").path());
    let known = Known { digest: "digest".to_owned(), at: 1, fate: answered(200) };
    store.txn(Txn::new().put(old.clone(), ledger::to_json(&known))).expect("nobody else writes");
    assert!(matches!(find(&keys(&store), "me", "a").await, Found::Over(_)));
    assert_eq!(store.get(&old).expect("it works"), None);
}
