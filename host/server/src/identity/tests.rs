use hostler_store::Memory;

use super::*;

fn book() -> (tempfile::TempDir, Arc<dyn Store>, Identities) {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let identities = Identities::recall(Arc::clone(&store), dir.path()).expect("an empty store is good");
    (dir, store, identities)
}

fn asked(name: &str, role: Role) -> TokenRequest {
    TokenRequest { name: name.to_owned(), role: Some(role), ..TokenRequest::default() }
}

#[tokio::test]
async fn a_token_proves_its_name_and_role_until_it_is_taken_back() {
    let (dir, store, identities) = book();
    let made = identities.create(asked("ci", Role::Operator), "local:0", false).await.expect("a good request");
    let proven = identities.prove(made.secret.reveal());
    assert!(matches!(&proven, Some(Proven::Token { name, role: Some(Role::Operator), .. }) if name == "ci"), "{proven:?}");
    assert_eq!(identities.prove(&made.secret.reveal().replace("hst_", "hst-")), None);
    // Another host over the same store knows it, and knows no secret.
    let again = Identities::recall(Arc::clone(&store), dir.path()).expect("what it wrote");
    assert_eq!(again.prove(made.secret.reveal()), proven);
    let stored = store.range("", None, 100).expect("it answers");
    let text: String = stored.iter().map(|(key, entry)| format!("{key} {}", String::from_utf8_lossy(&entry.value))).collect();
    let secret = made.secret.reveal().split('_').nth(2).expect("the third part");
    assert!(text.contains("\"ci\"") && !text.contains(secret), "{text}");
    let revoked = identities.revoke(&made.token.id).await.expect("the store works").expect("it is there");
    assert!(!revoked.usable && revoked.revoked_at.is_some() && revoked.last_used_at.is_some());
    assert_eq!((identities.prove(made.secret.reveal()), identities.is_usable(&made.token.id)), (None, false));
    let twice = identities.revoke(&made.token.id).await.expect("the store works").expect("it is there");
    assert_eq!(twice.revoked_at, revoked.revoked_at);
    assert_eq!(identities.revoke("nobody").await, Ok(None));
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_not_good_again_once_a_backup_is_restored() {
    let (dir, store, identities) = book();
    let gone = identities.create(asked("gone", Role::Admin), "local:0", false).await.expect("a good request");
    let kept = identities.create(asked("kept", Role::Admin), "local:0", false).await.expect("a good request");
    let then: Arc<dyn Store> = Arc::new(Memory::new());
    let backup = store.range("", None, 100).expect("it answers").into_iter().fold(Txn::new(), |txn, (key, entry)| txn.put(key, entry.value));
    then.txn(backup.put(SET_UP, "\"00\"")).expect("nobody else writes");
    identities.revoke(&gone.token.id).await.expect("the store works").expect("it is there");
    then.txn(restored(Txn::new(), &*store, &*then).expect("both are sound")).expect("nobody else writes");
    assert!(then.get(SET_UP).expect("it answers").is_none(), "what made the first token makes no other");
    let restored = Identities::recall(then, dir.path()).expect("it is sound");
    assert_eq!(restored.prove(gone.secret.reveal()), None);
    assert!(restored.prove(kept.secret.reveal()).is_some());
}

#[tokio::test]
async fn a_token_expires_by_itself() {
    let (_dir, _store, identities) = book();
    let request = TokenRequest { expires_in_ms: Some(500), ..asked("short", Role::Viewer) };
    let begun = std::time::Instant::now();
    let made = identities.create(request, "local:0", false).await.expect("a good request");
    let proven = identities.prove(made.secret.reveal());
    assert!(proven.is_some() || begun.elapsed() >= std::time::Duration::from_millis(500), "it is good for half a second");
    let deadline = begun + std::time::Duration::from_secs(60);
    while identities.prove(made.secret.reveal()).is_some() {
        assert!(std::time::Instant::now() < deadline, "it is good for ever");
        tokio::task::yield_now().await;
    }
    // Its name is free again.
    identities.create(asked("short", Role::Viewer), "local:0", false).await.expect("nobody has the name");
}

#[tokio::test]
async fn the_set_up_token_makes_one_admin_and_is_gone() {
    let (dir, store, identities) = book();
    assert!(!identities.is_anybody_let_in());
    let file = identities.offer_set_up().await.expect("the directory is ours").expect("nobody else may come in");
    let text = std::fs::read_to_string(&file).expect("it was written").trim().to_owned();
    assert_eq!(identities.prove(&text), Some(Proven::SetUp));
    // The next host offers the same.
    let next = Identities::recall(Arc::clone(&store), dir.path()).expect("what it wrote");
    assert_eq!(next.offer_set_up().await, Ok(Some(file.clone())));
    assert_eq!(std::fs::read_to_string(&file).expect("it is there").trim(), text);
    let low = next.create(asked("x", Role::Operator), "set-up", true).await.expect_err("it makes admins only");
    assert_eq!(low.code, Code::Invalid);
    next.create(asked("first", Role::Admin), "set-up", true).await.expect("a good request");
    assert!(!file.exists() && next.is_anybody_let_in());
    assert_eq!(next.prove(&text), None);
    assert_eq!(next.create(asked("second", Role::Admin), "set-up", true).await.expect_err("it is used").code, Code::Denied);
    assert_eq!(next.offer_set_up().await, Ok(None));
}

#[tokio::test]
async fn a_lost_set_up_token_is_replaced() {
    let (_dir, _store, identities) = book();
    let file = identities.offer_set_up().await.expect("the directory is ours").expect("needed");
    let first = std::fs::read_to_string(&file).expect("it was written").trim().to_owned();
    std::fs::remove_file(&file).expect("it is ours");
    identities.offer_set_up().await.expect("the directory is ours").expect("needed");
    assert_eq!(identities.prove(&first), None);
    assert_eq!(identities.prove(std::fs::read_to_string(&file).expect("it was written").trim()), Some(Proven::SetUp));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let (_dir, _store, identities) = book();
    let workspace =
        |name: &str| TokenRequest { name: "w".to_owned(), workspaces: [(name.to_owned(), Role::Viewer)].into(), ..TokenRequest::default() };
    for (request, about) in [
        (TokenRequest { name: "x".to_owned(), ..TokenRequest::default() }, "role"),
        (asked("", Role::Viewer), "name"),
        (asked(" x", Role::Viewer), "name"),
        (asked("a\u{1b}[2J", Role::Viewer), "name"),
        (asked(&"x".repeat(65), Role::Viewer), "name"),
        (asked("nobody", Role::Viewer), "without a token"),
        (asked("local:0", Role::Viewer), "without a token"),
        (TokenRequest { expires_in_ms: Some(0), ..asked("x", Role::Viewer) }, "expires"),
        (TokenRequest { expires_in_ms: Some(u64::MAX), ..asked("x", Role::Viewer) }, "expires"),
        (workspace("../x"), "workspace"),
        (workspace(""), "workspace"),
    ] {
        let refused = identities.create(request, "local:0", false).await.expect_err("it makes no sense");
        assert!(refused.code == Code::Invalid && refused.message.contains(about), "{refused:?}");
    }
    identities.create(asked("x", Role::Viewer), "local:0", false).await.expect("a good request");
    assert_eq!(identities.create(asked("x", Role::Viewer), "local:0", false).await.expect_err("the name is taken").code, Code::Conflict);
}

#[test]
fn random_characters_are_of_the_alphabet_and_never_the_same() {
    let of = || random(token::SECRET_ALPHABET, token::SECRET_CHARS).expect("the system has some");
    let (one, other) = (of(), of());
    assert!(one != other && one.len() == token::SECRET_CHARS && one.bytes().all(|byte| token::SECRET_ALPHABET.contains(&byte)));
}
