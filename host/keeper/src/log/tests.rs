//! Logs on a real disk, without processes.

use std::rc::Rc;

use rustix::fd::OwnedFd;

use super::reader::Page;
use super::{From, Limits, Writer, read, remove};
use crate::protocol::Origin;

const SMALL: Limits = Limits { segment_bytes: 400, segments: 3 };

fn logs() -> (tempfile::TempDir, Rc<OwnedFd>) {
    let dir = tempfile::tempdir().expect("tempdir");
    let fd = OwnedFd::from(std::fs::File::open(dir.path()).expect("opens"));
    (dir, Rc::new(fd))
}

fn write(logs: &Rc<OwnedFd>, numbers: std::ops::Range<u32>) {
    let mut writer = Writer::new(logs, "log", SMALL);
    for number in numbers {
        writer.push(Origin::Out, false, format!("line {number}").as_bytes());
        writer.flush();
    }
}

fn texts(page: &Page) -> Vec<String> {
    let mut rest = page.body.as_slice();
    let take = |len: u32| {
        let (text, after) = rest.split_at(len as usize);
        rest = after;
        String::from_utf8(text.to_vec()).expect("text")
    };
    page.heads.iter().map(|head| head.len).map(take).collect()
}

fn page(logs: &OwnedFd, from: From, max_bytes: u32) -> Page {
    read(logs, "log", &from, max_bytes).expect("reads")
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("line {number}")).collect()
}

#[test]
fn a_cursor_resumes_after_every_single_line_and_across_reopening() {
    let (_dir, logs) = logs();
    let mut cursor = page(&logs, From::Oldest, 1).next;
    for number in 0..30 {
        write(&logs, number..number + 1);
        let page = page(&logs, From::Cursor(cursor), 1);
        assert_eq!((texts(&page), page.gap), (numbered(number..number + 1), false));
        cursor = page.next;
    }
    assert!(texts(&page(&logs, From::Cursor(cursor), 1000)).is_empty());
}

#[test]
fn what_was_rotated_away_is_a_gap_and_what_was_read_is_none() {
    let (_dir, logs) = logs();
    write(&logs, 0..10);
    let early = page(&logs, From::Oldest, 1);
    let late = page(&logs, From::Oldest, 100_000);
    assert_eq!(texts(&late), numbered(0..10));
    write(&logs, 10..60);
    let resumed = page(&logs, From::Cursor(early.next), 100_000);
    assert!(resumed.gap);
    let kept = texts(&resumed);
    assert_eq!(kept.last().map(String::as_str), Some("line 59"));
    assert!(kept.len() < 50 && kept.len() > 20, "{}", kept.len());

    // a reader that had everything up to a segment that is now gone has missed nothing
    let all = page(&logs, From::Oldest, 100_000);
    let newest = all.next.clone();
    write(&logs, 60..62);
    let resumed = page(&logs, From::Cursor(newest), 100_000);
    assert_eq!((texts(&resumed), resumed.gap), (numbered(60..62), false));
}

#[test]
fn a_tail_is_the_last_lines_over_segments() {
    let (_dir, logs) = logs();
    write(&logs, 0..40);
    for lines in [0, 1, 7, 25] {
        let page = page(&logs, From::Tail(lines), 100_000);
        assert_eq!(texts(&page), numbered(40 - lines..40));
    }
    let all = texts(&page(&logs, From::Tail(u32::MAX), 100_000));
    assert_eq!(all, texts(&page(&logs, From::Oldest, 100_000)));
    let first = page(&logs, From::Tail(10), 14);
    assert_eq!(texts(&first), numbered(30..32), "max-bytes holds for a tail too");
    assert_eq!(texts(&page(&logs, From::Cursor(first.next), 7)), numbered(32..33));
}

#[test]
fn pages_are_small_as_asked_and_never_empty_before_the_end() {
    let (_dir, logs) = logs();
    write(&logs, 0..20);
    let mut cursor = From::Oldest;
    let mut seen = Vec::new();
    loop {
        let page = page(&logs, cursor, 15);
        assert!(page.heads.len() <= 2);
        if page.heads.is_empty() {
            break;
        }
        seen.extend(texts(&page));
        cursor = From::Cursor(page.next);
    }
    assert_eq!(seen, numbered(0..20));
}

#[test]
fn a_half_line_left_by_a_crash_is_closed_or_cut() {
    for (half, expected) in [(&b"1732170000123 o  half"[..], vec!["line 0", "half", "line 1"]), (b"17321", vec!["line 0", "line 1"])] {
        let (dir, logs) = logs();
        write(&logs, 0..1);
        let segment = std::fs::read_dir(dir.path().join("log")).expect("lists").next().expect("one").expect("entry").path();
        let mut bytes = std::fs::read(&segment).expect("reads");
        bytes.extend_from_slice(half);
        std::fs::write(&segment, bytes).expect("writes");
        write(&logs, 1..2);
        assert_eq!(texts(&page(&logs, From::Oldest, 1000)), expected);
    }
}

#[test]
fn a_cursor_of_a_dropped_log_is_a_gap_and_nonsense_is_refused() {
    let (_dir, logs) = logs();
    write(&logs, 0..2);
    let old = page(&logs, From::Oldest, 1000).next;
    remove(&logs, "log").expect("removes");
    remove(&logs, "log").expect("removes what is gone");
    write(&logs, 5..6);
    let resumed = page(&logs, From::Cursor(old.clone()), 1000);
    assert_eq!((texts(&resumed), resumed.gap), (numbered(5..6), true));
    let (epoch, _) = old.split_once(':').expect("a cursor");
    for nonsense in ["", "x", "1", "1:-1", "zz:1", "1:2:3", &format!("{epoch}:x")] {
        assert!(read(&logs, "log", &From::Cursor(nonsense.into()), 10).is_err(), "{nonsense:?}");
    }
}

#[test]
fn files_of_another_log_in_its_place_are_passed_over() {
    let (dir, logs) = logs();
    write(&logs, 0..3);
    let ours = std::fs::read_dir(dir.path().join("log")).expect("lists").next().expect("one").expect("entry").path();
    let name = ours.file_name().expect("a name").to_string_lossy().into_owned();
    let foreign = format!("{:08x}{}", 0, &name[8..]);
    std::fs::write(ours.with_file_name(foreign), b"1732170000123 o  foreign\n1732170000123 o  foreign\n1732170000123 o  foreign\n").expect("writes");
    let mut cursor = From::Oldest;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let page = page(&logs, cursor, 1);
        seen.extend(texts(&page));
        cursor = From::Cursor(page.next);
    }
    assert_eq!(seen, numbered(0..3));
}

#[test]
fn a_log_is_never_reached_through_a_link() {
    let (dir, logs) = logs();
    let elsewhere = tempfile::tempdir().expect("tempdir");
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("log")).expect("links");
    write(&logs, 0..3);
    assert!(read(&logs, "log", &From::Oldest, 10).is_err());
    assert!(std::fs::read_dir(elsewhere.path()).expect("lists").next().is_none());
}

#[test]
fn a_full_disk_costs_lines_and_says_how_many() {
    // /dev/full answers as a full disk does
    let (_dir, logs) = logs();
    let mut writer = Writer::new(&logs, "log", SMALL);
    writer.push(Origin::Out, false, b"before");
    writer.flush();
    let full = OwnedFd::from(std::fs::OpenOptions::new().write(true).open("/dev/full").expect("opens"));
    let real = writer.exchange_file(full);
    for _ in 0..3 {
        writer.push(Origin::Out, false, b"lost");
        writer.flush();
    }
    writer.exchange_file(real);
    writer.push(Origin::Out, false, b"after");
    writer.flush();
    let seen = texts(&page(&logs, From::Oldest, 1000));
    assert_eq!(seen[0], "before");
    assert!(seen[1].contains("3 lines were lost here: No space left on device"), "{}", seen[1]);
    assert_eq!(seen[2], "after");
}

#[test]
fn a_log_that_rests_holds_little_after_a_busy_moment() {
    let (_dir, logs) = logs();
    let mut writer = Writer::new(&logs, "log", Limits { segment_bytes: 10 << 20, segments: 3 });
    (0..10_000).for_each(|number| writer.push(Origin::Out, false, format!("line {number}").as_bytes()));
    assert!(writer.held_bytes() > 200_000);
    writer.flush();
    assert!(writer.held_bytes() <= 1024, "{} bytes", writer.held_bytes());
}
