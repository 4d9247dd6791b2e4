use super::*;

fn entry_of(cursor: &str, text: &str) -> Entry {
    Entry { cursor: cursor.into(), at: Some(1), bytes: text.as_bytes().to_vec(), cut: false, unit: Some("hostler-h-x.service".into()) }
}

/// What a page of these entries says: its lines, a `+` behind those that go on, and where it ended.
fn page(cursor: Option<&str>, max_bytes: u32, entries: &[Entry]) -> (Vec<String>, String, bool) {
    let mut page = Page::new(Place::read(cursor).expect("a cursor of ours"), max_bytes);
    page.begin(entries);
    for entry in entries {
        if !page.take(entry, entry.unit.is_some()) {
            break;
        }
    }
    let chunk = page.chunk();
    let text = |line: &Line| format!("{}{}", String::from_utf8_lossy(&line.bytes), if line.continued { "+" } else { "" });
    (chunk.lines.iter().map(text).collect(), chunk.next, chunk.gap)
}

#[test]
fn reading_goes_on_behind_the_cursor() {
    let entries = [entry_of("s=1", "a"), entry_of("s=2", "b")];
    assert_eq!(page(None, 100, &entries), (vec!["a".into(), "b".into()], "s=2".into(), false));
    assert_eq!(page(Some("s=1"), 100, &entries), (vec!["b".into()], "s=2".into(), false));
    assert_eq!(page(Some("s=2"), 100, &entries[1..]), (vec![], "s=2".into(), false));
    assert_eq!(page(Some("start"), 100, &[]), (vec![], "start".into(), false));
}

#[test]
fn what_was_vacuumed_is_a_gap() {
    let entries = [entry_of("s=5", "e")];
    assert_eq!(page(Some("s=1"), 100, &entries), (vec!["e".into()], "s=5".into(), true));
    assert_eq!(page(Some("s=1"), 100, &[]), (vec![], "start".into(), true));
}

#[test]
fn a_page_holds_what_was_asked_for() {
    let entries = [entry_of("s=1", "aaaa"), entry_of("s=2", "bbbb")];
    assert_eq!(page(None, 6, &entries), (vec!["aaaa".into()], "s=1".into(), false));
    assert_eq!(page(None, 3, &entries), (vec!["aaa+".into()], "s=1@3".into(), false));
    assert_eq!(page(Some("s=1@3"), 3, &entries), (vec!["a".into()], "s=1".into(), false));
    assert_eq!(page(Some("s=1"), 4, &entries), (vec!["bbbb".into()], "s=2".into(), false));
}

#[test]
fn an_entry_of_many_lines_is_many_lines() {
    let entries = [entry_of("s=1", "a\nbb\n\nc")];
    assert_eq!(page(None, 100, &entries).0, ["a", "bb", "", "c"]);
    assert_eq!(page(None, 2, &entries), (vec!["a".into()], "s=1@2".into(), false));
    assert_eq!(page(Some("s=1@2"), 100, &entries).0, ["bb", "", "c"]);
}

#[test]
fn lines_of_strangers_are_passed_over() {
    let forged = Entry { unit: None, ..entry_of("s=2", "forged") };
    let entries = [entry_of("s=1", "a"), forged];
    assert_eq!(page(None, 100, &entries), (vec!["a".into()], "s=2".into(), false));
    let held = Held { id: "x".into(), scope: Scope::System, unit: "hostler-h-x.service".into(), installed: None, log: "h/default/x/0".into() };
    let source = Source::of("h", &held);
    let of = |unit: &str| source.wrote(&Entry { unit: Some(unit.into()), ..entry_of("s=1", "") });
    assert!(of("hostler-h-x-2.service") && !of("cron.service") && !of("hostler-other-x.service"));
    let unnamed = Entry { unit: None, ..entry_of("s=1", "") };
    assert!(!source.wrote(&unnamed));
    assert!(Source::of("h", &Held { scope: Scope::User(1000), ..held }).wrote(&unnamed), "the user is known all the same");
}

#[test]
fn the_journal_speaks_of_bytes_in_its_own_way() {
    let json = concat!(
        r#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795275072199300","MESSAGE":"text","_SYSTEMD_UNIT":"u"}"#,
        "\n",
        r#"{"MESSAGE":[98,255],"__CURSOR":"s=2","_LINE_BREAK":"line-max"}"#,
        "\n",
        r#"{"MESSAGE":null,"__CURSOR":"s=3"}"#,
        "\n",
        r#"{"MESSAGE":["a",[255]],"__CURSOR":"s=4","_LINE_BREAK":"eof"}"#,
        "\nnot json\n",
    );
    let read = parse(json.as_bytes(), "_SYSTEMD_UNIT");
    let short: Vec<(&[u8], bool)> = read.iter().map(|entry| (entry.bytes.as_slice(), entry.cut)).collect();
    assert_eq!(short, [(b"text".as_slice(), false), (&[98, 255], true), (TOO_LONG, false), (b"a\n\xff", false)]);
    assert_eq!((read[0].at, read[0].unit.as_deref()), (Some(1_795_275_072_199), Some("u")));
}

#[test]
fn a_cursor_that_is_none_is_refused() {
    for text in ["", "x", "--help", "s=1 --file=/etc/shadow", "s=1@", "s=1@x", "s=1\n"] {
        assert!(Place::read(Some(text)).is_err(), "{text}");
    }
}
