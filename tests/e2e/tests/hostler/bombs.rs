//! Components that are made to wear the compiler out: it is a child with limits, and what it takes is nobody else's.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Instant;

use hostler_e2e::{Yard, descendants, until, until_some};

use crate::sleeper;

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        bytes.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return bytes;
        }
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len()), content].concat()
}

/// A component with so many functions, each with so many products of a hundred values that all stay alive.
fn bomb(functions: usize, products: usize) -> Vec<u8> {
    let mut body = vec![1, 100, 0x7e];
    for n in 0..products {
        let local = |of: usize| u8::try_from(of % 100).expect("a small index");
        // local[n] = local[7n] * local[13n + 1]
        body.extend([0x20, local(n * 7), 0x20, local(n * 13 + 1), 0x7e, 0x21, local(n)]);
    }
    body.push(0x0b);
    let bodies: Vec<u8> = (0..functions).flat_map(|_| [leb(body.len()), body.clone()].concat()).collect();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 0, 0]),
        section(3, &[leb(functions), vec![0; functions]].concat()),
        section(10, &[leb(functions), bodies].concat()),
    ];
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module.concat())].concat()
}

/// The host's child that compiles, while there is one.
fn compiler(yard: &Yard) -> Option<u32> {
    let compiles = |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.windows(14).any(|part| part == b"compile-plugin"));
    descendants(yard.host_pid()).into_iter().find(compiles)
}

fn resident_mib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: u64 = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    (pages * 4096) >> 20
}

#[test]
fn a_compile_bomb_costs_its_own_compiler_and_nobody_else() {
    let yard = Yard::new();
    let calm = sleeper("calm", "health_check = { type = \"command\", command = \"true\", interval = \"100ms\" }");
    yard.up(&calm);
    let (pid, before) = (yard.pid("calm"), resident_mib(yard.host_pid()));
    yard.write("bomb.wasm", bomb(5_000, 1_500));
    yard.config(&format!("[plugins.bomb]\nsource = \"./bomb.wasm\"\n{calm}"));

    let said = thread::scope(|scope| {
        let applying = scope.spawn(|| yard.run("apply").fails(3));
        let compiling = until_some("a child compiles it", || compiler(&yard));
        // it limits itself before it reads a byte of it
        let limits = || fs::read_to_string(format!("/proc/{compiling}/limits")).unwrap_or_default();
        let is = |what: &str, value: &str| limits().lines().any(|line| line.starts_with(what) && line.split_whitespace().any(|word| word == value));
        until("the compiler has its limits", || is("Max data size", "4294967296") && is("Max cpu time", "600"));
        let begun = Instant::now();
        assert_eq!(yard.status("calm"), "running");
        assert!(begun.elapsed().as_secs() < 5, "the host answers meanwhile");
        // the kernel's own hand, only sooner than in ten minutes
        let cut = Command::new("prlimit").args([format!("--pid={compiling}"), "--cpu=1".to_owned()]).status();
        assert!(cut.is_ok_and(|cut| cut.success()), "prlimit of util-linux");
        let said = applying.join().expect("it does not panic");
        assert!(compiler(&yard).is_none(), "and it is gone");
        said
    });
    assert!(said.contains("bomb") && said.contains("compile"), "{said}");
    assert_eq!((yard.pid("calm"), yard.status("calm").as_str()), (pid, "running"));
    assert_eq!(yard.service("calm")["restart_count"], 0);
    let after = resident_mib(yard.host_pid());
    assert!(after < before + 200, "what the compiler took is not the host's: {before} MiB, then {after} MiB");
}
