//! Whom a certificate names: just enough of DER to find its subject's common name. Who vouches for it was judged before, by rustls.

/// The type of a common name: 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
/// Of a certificate's version, which the first ones leave out.
const VERSION: u8 = 0xa0;
/// The longest name that is kept.
const MOST: usize = 128;

/// The common name, or why there is none.
pub(super) fn of(certificate: &[u8]) -> String {
    match common_name(certificate) {
        Some(name) if !name.is_empty() => name.escape_default().to_string().chars().take(MOST).collect(),
        Some(_) | None => "(a certificate without a common name)".to_owned(),
    }
}

fn common_name(certificate: &[u8]) -> Option<String> {
    let (whole, _) = expect(certificate, SEQUENCE)?;
    let (signed, _) = expect(whole, SEQUENCE)?;
    let rest = match take(signed)? {
        (VERSION, _, rest) => rest,
        _ => signed,
    };
    // Serial number, algorithm, issuer, validity: and then whom it is about.
    let rest = (0..4).try_fold(rest, |rest, _| take(rest).map(|(.., rest)| rest))?;
    let (mut names, _) = expect(rest, SEQUENCE)?;
    let mut found = None;
    while !names.is_empty() {
        let (set, others) = expect(names, SET)?;
        let (pair, _) = expect(set, SEQUENCE)?;
        let (kind, value) = expect(pair, OBJECT)?;
        if kind == COMMON_NAME {
            // The last one is the most specific.
            found = Some(String::from_utf8_lossy(take(value)?.1).into_owned());
        }
        names = others;
    }
    found
}

/// What is in the next value, which must be of this kind, and what comes behind it.
fn expect(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (found, inside, rest) = take(bytes)?;
    (found == kind).then_some((inside, rest))
}

/// The next value: its kind, what is in it, and what comes behind it.
fn take(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (inside, rest) = rest.split_at_checked(length)?;
    Some((*kind, inside, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: u8, inside: &[u8]) -> Vec<u8> {
        let length = u8::try_from(inside.len()).expect("the tests' values are short");
        let head: Vec<u8> = if length < 0x80 { vec![kind, length] } else { vec![kind, 0x81, length] };
        [&head, inside].concat()
    }

    fn named(kind: u8, name: &str) -> Vec<u8> {
        let pair = [value(OBJECT, &[0x55, 0x04, kind]), value(0x0c, name.as_bytes())].concat();
        value(SET, &value(SEQUENCE, &pair))
    }

    fn certificate(version: &[u8], names: &[Vec<u8>]) -> Vec<u8> {
        let issuer = value(SEQUENCE, &named(3, "the authority"));
        let parts = [version.to_vec(), value(2, &[7]), value(SEQUENCE, &[]), issuer, value(SEQUENCE, &[]), value(SEQUENCE, &names.concat())];
        value(SEQUENCE, &value(SEQUENCE, &parts.concat()))
    }

    #[test]
    fn the_common_name_is_the_subjects() {
        let version = value(VERSION, &[2, 1, 2]);
        assert_eq!(of(&certificate(&version, &[named(10, "The Shop"), named(3, "ann")])), "ann");
        assert_eq!(of(&certificate(&[], &[named(3, "ann")])), "ann");
        assert_eq!(of(&certificate(&version, &[named(3, "a\u{1b}[2J")])), "a\\u{1b}[2J");
        assert_eq!(of(&certificate(&version, &[named(10, "The Shop")])), "(a certificate without a common name)");
    }

    #[test]
    fn what_is_cut_or_changed_anywhere_is_survived() {
        let whole = certificate(&value(VERSION, &[2, 1, 2]), &[named(3, "ann")]);
        for at in 0..whole.len() {
            of(&whole[..at]);
            for byte in [0x00, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                of(&changed);
            }
        }
    }
}
