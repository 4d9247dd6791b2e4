//! The accounts that services keep of themselves, read back.

use std::path::Path;

/// One life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Its number.
    pub run: u64,
    /// Its process.
    pub pid: u32,
    /// When it began, on the clock of the boot.
    pub started_ms: u64,
    /// What its configuration told it.
    pub mark: String,
    /// Its exit code and when, once it has ended by itself.
    pub ended: Option<(u8, u64)>,
}

/// The lives of a service in the order in which they began.
///
/// # Errors
/// A life that met another one, a run that was started twice, or one that ended without a start.
///
/// # Panics
/// When the account is none of ours.
pub fn lives(dir: &Path, service: &str) -> Result<Vec<Life>, String> {
    let text = std::fs::read_to_string(dir.join(format!("{service}.account"))).unwrap_or_default();
    let mut lives: Vec<Life> = Vec::new();
    // the last line may be half written
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).ok_or_else(|| format!("{service}: no account: {line}"));
        let run = number(1)?;
        match words[0] {
            "S" if lives.iter().any(|life| life.run == run) => return Err(format!("{service}: run {run} was started twice")),
            "S" if lives.last().is_some_and(|life| life.run > run) => return Err(format!("{service}: run {run} was started after a later one")),
            "S" => lives.push(Life {
                run,
                pid: u32::try_from(number(2)?).expect("a pid"),
                started_ms: number(3)?,
                mark: words.get(4).copied().unwrap_or("-").to_owned(),
                ended: None,
            }),
            "E" => {
                let ended = Some((u8::try_from(number(2)?).expect("a code"), number(3)?));
                lives.iter_mut().find(|life| life.run == run).ok_or_else(|| format!("{service}: run {run} ended without a start"))?.ended = ended;
            }
            _ => return Err(format!("{service}: run {run} met another life of the same service: {line}")),
        }
    }
    Ok(lives)
}

#[cfg(test)]
mod tests {
    use super::lives;

    #[test]
    fn a_doubled_life_is_found() {
        let yard = hostler_e2e::Yard::bare();
        let check = |text: &str, good: Option<usize>| {
            yard.write("x.account", text);
            assert_eq!(lives(yard.path(), "x").ok().map(|lives| lives.len()), good, "{text}");
        };
        check("", Some(0));
        check("S 1 100 5 -\nE 1 7 6\nS 2 101 7 -\n", Some(2));
        check("S 1 100 5 -\nS 2 101", Some(1));
        check("S 1 100 5 -\nS 1 101 6 -\n", None);
        check("S 2 100 5 -\nS 1 101 6 -\n", None);
        check("S 1 100 5 -\nD 2 101 6\nS 2 101 6 -\n", None);
        check("E 1 7 6\n", None);
    }
}
