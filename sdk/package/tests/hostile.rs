//! Archives that somebody made to hurt: each is refused, and nothing of the entry that breaks a rule reaches the sink.

use hostler_package::{Contents, Error, Kind, Limits, Nowhere, Sink, Source, pack, read};
use std::io;

/// One entry of an archive that no tool of ours would write.
struct Raw<'a> {
    path: &'a str,
    kind: u8,
    mode: u32,
    link: &'a str,
    bytes: &'a [u8],
    /// What the header says of its size.
    size: Option<u64>,
}

const FILE: Raw<'static> = Raw { path: "", kind: b'0', mode: 0o644, link: "", bytes: b"", size: None };

fn header(raw: &Raw<'_>) -> [u8; 512] {
    let mut block = [0; 512];
    block[..raw.path.len()].copy_from_slice(raw.path.as_bytes());
    block[100..108].copy_from_slice(format!("{:07o}\0", raw.mode).as_bytes());
    block[124..136].copy_from_slice(format!("{:011o}\0", raw.size.unwrap_or(raw.bytes.len() as u64)).as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[148..156].copy_from_slice(b"        ");
    block[156] = raw.kind;
    block[157..157 + raw.link.len()].copy_from_slice(raw.link.as_bytes());
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A package with the usual two files, and these.
fn archive(more: &[Raw<'_>]) -> Vec<u8> {
    let manifest = b"name: api\nversion: 1.0.0\nbinary: bin/api\n";
    let usual = [Raw { path: "manifest.yaml", bytes: manifest, ..FILE }, Raw { path: "bin/api", mode: 0o755, bytes: b"#!/bin/sh\n", ..FILE }];
    let mut tar = Vec::new();
    for raw in usual.iter().chain(more) {
        tar.extend_from_slice(&header(raw));
        tar.extend_from_slice(raw.bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    gzip(&tar)
}

/// As any tool compresses; the crate's own is private.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    out.extend_from_slice(&miniz_oxide::deflate::compress_to_vec(bytes, 6));
    out.extend_from_slice(&(!crc).to_le_bytes());
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out
}

/// Remembers what it was handed.
#[derive(Default)]
struct Seen(Vec<String>);

impl Sink for Seen {
    fn directory(&mut self, path: &str) -> io::Result<()> {
        self.0.push(format!("{path}/"));
        Ok(())
    }
    fn file(&mut self, path: &str, executable: bool, size: u64) -> io::Result<()> {
        self.0.push(format!("{path} {size}{}", if executable { " x" } else { "" }));
        Ok(())
    }
    fn bytes(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.0.push(format!("{path} -> {target}"));
        Ok(())
    }
}

fn check(more: &[Raw<'_>]) -> Result<Contents, Error> {
    read(archive(more).as_slice(), &Limits::default(), &mut Nowhere)
}

#[track_caller]
fn refused(more: &[Raw<'_>], says: &str) {
    let mut seen = Seen::default();
    let error = read(archive(more).as_slice(), &Limits::default(), &mut seen).expect_err("it has to be refused").to_string();
    assert!(error.contains(says), "{error}");
    // of a name that is there twice, the first was fine
    let bad = more.last().map_or("", |raw| raw.path);
    let handed = seen.0.iter().filter(|handed| handed.split(' ').next() == Some(bad)).count();
    assert!(handed <= usize::from(bad == "bin/api"), "it reached the sink: {:?}", seen.0);
}

#[test]
fn the_usual_one_is_read() {
    let contents = check(&[]).expect("it is one");
    assert_eq!((contents.manifest.name.as_str(), contents.entries.len()), ("api", 2));
    assert_eq!(contents.release(), format!("1.0.0-{}", &contents.sha256[..12]));
}

#[test]
fn paths_that_leave_are_refused() {
    for path in
        ["../evil", "bin/../../evil", "/etc/evil", "bin/..", "./../evil", "bin//evil", "bin/./evil", "bin/a\nb", "bin\\..\\evil", "etc/evil", ""]
    {
        refused(&[Raw { path, bytes: b"x", ..FILE }], "is refused");
    }
}

#[test]
fn links_that_leave_are_refused() {
    for target in ["/etc/passwd", "../../etc/passwd", "..", "../..", ""] {
        refused(&[Raw { path: "lib/x", kind: b'2', link: target, ..FILE }], "leads out of the package");
    }
    refused(&[Raw { path: "lib/x", kind: b'2', link: "none", ..FILE }], "no file or directory");
    refused(&[Raw { path: "lib/x", kind: b'2', link: "x", ..FILE }], "no file or directory");
    refused(&[Raw { path: "lib/x", kind: b'1', link: "bin/api", ..FILE }], "a hard link");
}

#[test]
fn nothing_is_written_through_a_link() {
    // the classic: a link to a directory, and a file below it
    refused(&[Raw { path: "lib/d", kind: b'2', link: "../bin", ..FILE }, Raw { path: "lib/d/evil", bytes: b"x", ..FILE }], "no directory");
    // and links that lead through links
    refused(
        &[Raw { path: "lib/d", kind: b'2', link: "../bin", ..FILE }, Raw { path: "lib/e", kind: b'2', link: "d/api", ..FILE }],
        "no file or directory",
    );
}

#[test]
fn devices_pipes_and_rights_are_refused() {
    for (kind, says) in
        [(b'3', "a device"), (b'4', "a device"), (b'6', "a pipe"), (b'7', "nobody knows"), (b'x', "plain format"), (b'L', "plain format")]
    {
        refused(&[Raw { path: "bin/x", kind, ..FILE }], says);
    }
    for mode in [0o4755, 0o2755, 0o1777] {
        refused(&[Raw { path: "bin/x", mode, ..FILE }], "setuid, setgid or sticky");
    }
}

#[test]
fn what_is_there_twice_is_refused() {
    refused(&[Raw { path: "bin/api", bytes: b"other", mode: 0o755, ..FILE }], "there twice");
    refused(&[Raw { path: "./bin/api", bytes: b"other", ..FILE }], "is refused");
    refused(&[Raw { path: "bin/api/x", bytes: b"other", ..FILE }], "no directory");
    refused(&[Raw { path: "bin", kind: b'5', ..FILE }], "there twice");
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let limits = Limits { packed_bytes: 1 << 20, unpacked_bytes: 1 << 20, entries: 50 };
    let zeros = vec![0; 8 << 20];
    let bomb = archive(&[Raw { path: "data/zeros", bytes: &zeros, ..FILE }]);
    assert!(bomb.len() < 100_000, "it is small: {}", bomb.len());
    let mut seen = Seen::default();
    assert!(matches!(read(bomb.as_slice(), &limits, &mut seen), Err(Error::TooLarge(_))));
    assert!(!seen.0.iter().any(|path| path.starts_with("data/zeros")), "{:?}", seen.0);
    assert!(matches!(read(bomb.as_slice(), &Limits { packed_bytes: 1000, ..limits }, &mut Nowhere), Err(Error::TooLarge(_))));
    // a size that is a lie
    assert!(matches!(check(&[Raw { path: "data/lie", size: Some(7 << 30), ..FILE }]), Err(Error::TooLarge(_))));
    assert!(matches!(check(&[Raw { path: "data/lie", size: Some(1 << 20), ..FILE }]), Err(Error::Broken(_))));
    let names: Vec<String> = (0..100).map(|n| format!("data/{n}")).collect();
    let many: Vec<Raw<'_>> = names.iter().map(|path| Raw { path, ..FILE }).collect();
    assert!(matches!(read(archive(&many).as_slice(), &limits, &mut Nowhere), Err(Error::TooLarge(_))));
    // an end that never ends
    let mut endless = vec![0; 4 << 20];
    endless.splice(..0, header(&Raw { path: "manifest.yaml", bytes: b"", ..FILE }));
    assert!(read(gzip(&endless).as_slice(), &limits, &mut Nowhere).is_err());
}

#[test]
fn broken_files_are_refused_wherever_they_break() {
    let whole = archive(&[Raw { path: "lib/x", bytes: b"some bytes", ..FILE }]);
    for end in 0..whole.len() {
        assert!(read(&whole[..end], &Limits::default(), &mut Nowhere).is_err(), "cut at {end}");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x41;
        // a name or time in the gzip header may change; what is in it may not
        if let Ok(contents) = read(changed.as_slice(), &Limits::default(), &mut Nowhere) {
            assert!((4..10).contains(&at), "changed at {at}: {contents:?}");
        }
    }
    assert!(read([whole.as_slice(), whole.as_slice()].concat().as_slice(), &Limits::default(), &mut Nowhere).is_err());
}

#[test]
fn a_package_without_its_program_is_none() {
    let manifest = |text: &str| {
        let file = |path: &str, bytes: &str, executable: bool| Source { path: path.into(), kind: Kind::File { executable }, bytes: bytes.into() };
        pack(vec![file("manifest.yaml", text, false), file("bin/api", "", true), file("bin/text", "", false)], &Limits::default())
    };
    assert!(manifest("name: api\nversion: 1\nbinary: bin/api\n").is_ok());
    for text in ["name: api\nversion: 1\nbinary: bin/none\n", "name: api\nversion: 1\nbinary: bin/text\n", "name: api\n", "", "- x", "a: &a [*a]\n"] {
        assert!(manifest(text).is_err(), "{text:?}");
    }
}

#[test]
fn the_same_sources_make_the_same_bytes() {
    let source = |path: &str, kind: Kind, bytes: &str| Source { path: path.into(), kind, bytes: bytes.into() };
    let manifest = "name: api\nversion: 1.0.0\nbinary: bin/api\n";
    let mut sources = vec![
        source("lib/libx.so", Kind::Link("libx.so.1".into()), ""),
        source("manifest.yaml", Kind::File { executable: false }, manifest),
        source("bin/api", Kind::File { executable: true }, "#!/bin/sh\n"),
        source("lib/libx.so.1", Kind::File { executable: false }, "elf"),
    ];
    let (one, contents) = pack(sources.clone(), &Limits::default()).expect("it is a package");
    sources.reverse();
    assert_eq!(pack(sources, &Limits::default()).expect("it is a package").0, one);
    let mut seen = Seen::default();
    assert_eq!(read(one.as_slice(), &Limits::default(), &mut seen).expect("it was packed here"), contents);
    assert_eq!(
        seen.0,
        ["bin/", "bin/api 10 x", "lib/", "lib/libx.so.1 3", format!("manifest.yaml {}", manifest.len()).as_str(), "lib/libx.so -> libx.so.1"]
    );
}
