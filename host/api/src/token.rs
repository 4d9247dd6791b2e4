//! How a token is written: `hst_ID_SECRET_CHECKSUM`.
//!
//! The prefix lets scanners find one that leaked, the id says which one it is (it is no secret), and the checksum tells a typo from a token that
//! is not good, without asking anybody.

use crate::Secret;

/// What every token begins with.
pub const PREFIX: &str = "hst_";
/// What an id is made of.
pub const ID_ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// What a secret is made of.
pub const SECRET_ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters of an id.
pub const ID_CHARS: usize = 10;
/// Characters of a secret: 190 bits.
pub const SECRET_CHARS: usize = 32;

/// 62⁶ is more than 2³².
const CHECKSUM_CHARS: usize = 6;
/// No id is longer, whoever made it.
const MOST_ID_CHARS: usize = 16;

/// The token of this id and secret.
pub fn compose(id: &str, secret: &str) -> Secret {
    let body = format!("{PREFIX}{id}_{secret}");
    let checksum = checksum(&body);
    Secret::new(format!("{body}_{checksum}"))
}

/// The id of a well-written token; nothing when it has a typo or is none.
///
/// ```
/// use hostler_api::token;
/// let token = token::compose("k3v9", "0123456789ABCDEFGHIJKLMNOPQRSTUV");
/// assert_eq!(token::id_of(token.reveal()), Some("k3v9"));
/// assert_eq!(token::id_of(&token.reveal().replace("k3v9", "k3v8")), None);
/// ```
pub fn id_of(text: &str) -> Option<&str> {
    let (body, found) = text.rsplit_once('_')?;
    let (id, secret) = body.strip_prefix(PREFIX)?.split_once('_')?;
    let is_id = (1..=MOST_ID_CHARS).contains(&id.len()) && id.bytes().all(|byte| ID_ALPHABET.contains(&byte));
    let is_secret = secret.len() == SECRET_CHARS && secret.bytes().all(|byte| SECRET_ALPHABET.contains(&byte));
    (is_id && is_secret && found == checksum(body)).then_some(id)
}

/// The same text with the secret of whatever looks like a token taken out.
///
/// ```
/// use hostler_api::token;
/// assert_eq!(token::redacted("/x/hst_k3v9_0123abc/y"), "/x/hst_…/y");
/// ```
pub fn redacted(text: &str) -> String {
    let mut rest = text;
    let mut clean = String::with_capacity(text.len());
    while let Some(at) = rest.find(PREFIX) {
        let (before, token) = rest.split_at(at + PREFIX.len());
        clean.push_str(before);
        clean.push('…');
        let end = token.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(token.len());
        rest = &token[end..];
    }
    clean.push_str(rest);
    clean
}

/// CRC-32 of what stands before, in six digits of base 62.
fn checksum(text: &str) -> String {
    let mut rest = crc32(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = SECRET_ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

/// The CRC of Ethernet and gzip, bit by bit: it is asked for some fifty bytes at a time.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUV";

    #[test]
    fn the_checksum_is_the_one_of_everybody_else() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn one_wrong_character_is_told() {
        let token = compose("abc123", SECRET);
        let text = token.reveal();
        assert_eq!(id_of(text), Some("abc123"));
        for at in 0..text.len() {
            let mut wrong = text.as_bytes().to_vec();
            wrong[at] = if wrong[at] == b'7' { b'8' } else { b'7' };
            let wrong = String::from_utf8(wrong).expect("ASCII");
            assert_eq!(id_of(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_token_has_no_id() {
        for text in ["", "hst_", "hst___", "hst_a_b_c", "hunter2", "hst_é_x_y", &"hst_".repeat(1_000)] {
            assert_eq!(id_of(text), None, "{text}");
        }
        let upper = compose("ABC", SECRET);
        assert_eq!(id_of(upper.reveal()), None, "an id is written small");
    }

    #[test]
    fn no_text_keeps_a_tokens_secret() {
        let token = compose("abc123", SECRET);
        let text = format!("{0} and again={0}, hst_ alone", token.reveal());
        assert_eq!(redacted(&text), "hst_… and again=hst_…, hst_… alone");
    }
}
