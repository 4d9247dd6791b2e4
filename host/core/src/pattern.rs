//! Text patterns, as grants and discovery have them: `*` stands for any text, everything else for itself.

/// Does `text` match `pattern`?
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().expect("split yields at least one part");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        let check = |pattern: &str, text: &str, expected: bool| assert_eq!(matches(pattern, text), expected, "{pattern} ~ {text}");
        check("*", "", true);
        check("*", "anything", true);
        check("-h", "-h", true);
        check("-h", "-hx", false);
        check("--host=*", "--host=db", true);
        check("--host=*", "--port=1", false);
        check("*.sql", "a.sql", true);
        check("a*b*c", "a1b2c", true);
        check("a*b*c", "a1c", false);
        check("ab*ba", "aba", false);
        check("", "", true);
        check("", "x", false);
    }
}
