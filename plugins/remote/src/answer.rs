//! What a script prints: lines of words, and between them stretches of bytes whose length was said before.

/// The first line of every answer. What a login shell printed before is none of our business.
pub(crate) const BEGIN: &str = "hostler-remote 1";

/// The last one: an answer without it was cut off.
pub(crate) const END: &str = "hostler-remote done";

/// A stretch of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// `out` or `err`.
    pub name: String,
    /// Where it begins, counted over everything that was ever written.
    pub start: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its lines, as words.
    pub lines: Vec<Vec<String>>,
    /// Its bytes.
    pub data: Vec<Data>,
}

impl Answer {
    /// Reads what came; nothing when it is not whole.
    pub(crate) fn parse(output: &[u8]) -> Option<Self> {
        let mut rest = after_line(output, BEGIN)?;
        let mut answer = Self::default();
        loop {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let line = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest = &rest[end + 1..];
            if line == END {
                return Some(answer);
            }
            let words: Vec<String> = line.split_ascii_whitespace().map(String::from).collect();
            let [kind, name, start, length] = words.as_slice() else {
                answer.lines.push(words);
                continue;
            };
            if kind != "data" {
                answer.lines.push(words);
                continue;
            }
            let length: usize = length.parse().ok()?;
            let bytes = rest.get(..length)?.to_vec();
            answer.data.push(Data { name: name.clone(), start: start.parse().ok()?, bytes });
            rest = rest.get(length..)?.strip_prefix(b"\n")?;
        }
    }

    /// Did anything of ours run?
    pub(crate) fn began(output: &[u8]) -> bool {
        after_line(output, BEGIN).is_some()
    }

    /// The words after the first of the line that begins with this one.
    pub fn line(&self, first: &str) -> Option<&[String]> {
        self.lines.iter().find(|line| line.first().is_some_and(|word| word == first)).map(|line| &line[1..])
    }
}

fn after_line<'a>(output: &'a [u8], line: &str) -> Option<&'a [u8]> {
    let marker = [line.as_bytes(), b"\n"].concat();
    let at = output.windows(marker.len()).position(|window| window == marker)?;
    Some(&output[at + marker.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_before_and_bytes_within_do_no_harm() {
        let output = b"Welcome!\nhostler-remote 1\na running 7 3\ndata out 10 25\nhostler-remote done\nx\0\xffyz\nlast\nhostler-remote done\n";
        let answer = Answer::parse(output).expect("it is whole");
        assert_eq!(answer.lines, [vec!["a", "running", "7", "3"], vec!["last"]]);
        assert_eq!(answer.data[0].bytes, b"hostler-remote done\nx\0\xffyz");
        assert_eq!((answer.data[0].name.as_str(), answer.data[0].start), ("out", 10));
    }

    #[test]
    fn an_answer_that_was_cut_is_none() {
        let whole = b"hostler-remote 1\nx gone\ndata out 0 3\na\nb\nhostler-remote done\n";
        assert!(Answer::parse(whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(Answer::parse(&whole[..end]), None, "{end}");
        }
        assert!(Answer::began(whole) && !Answer::began(b"hostler-remote 1"));
    }
}
