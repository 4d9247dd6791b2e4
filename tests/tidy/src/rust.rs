//! Just enough of Rust's surface to tell code from comments, strings and tests.

/// The same text with comments and the insides of strings blanked; lines and columns stay where they were.
pub fn code(text: &str) -> String {
    Blanker { chars: text.chars().collect(), at: 0, out: String::with_capacity(text.len()) }.run()
}

/// As [`code`], without the items behind `#[cfg(test)]`.
pub fn product_code(text: &str) -> String {
    let mut code: Vec<char> = code(text).chars().collect();
    let marker: Vec<char> = "#[cfg(test)]".chars().collect();
    let mut at = 0;
    while at + marker.len() <= code.len() {
        if code[at..at + marker.len()] != marker[..] {
            at += 1;
            continue;
        }
        let end = end_of_item(&code, at + marker.len());
        for char in &mut code[at..end] {
            if *char != '\n' {
                *char = ' ';
            }
        }
        at = end;
    }
    code.into_iter().collect()
}

/// Lines, counted from 1, on which the word stands by itself. A word may be a path: `std::env`.
pub fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let part_of_name = |char: Option<char>| char.is_some_and(|char| char.is_alphanumeric() || char == '_');
    let alone = |at: usize| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let goes_on = part_of_name(after) && part_of_name(word.chars().next_back());
        !part_of_name(before) && !goes_on
    };
    let mut lines: Vec<usize> = code.match_indices(word).filter(|(at, _)| alone(*at)).map(|(at, _)| line_of(code, at)).collect();
    lines.dedup();
    lines
}

/// The line, counted from 1, of a byte position.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The position behind the brackets that close what opens at or after `at`.
pub fn closing(text: &str, at: usize, open: char, close: char) -> Option<usize> {
    let mut depth = 0usize;
    for (offset, char) in text[at..].char_indices() {
        if char == open {
            depth += 1;
        } else if char == close {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at + offset + 1);
            }
        }
    }
    None
}

/// Behind the item that starts at `at`: its closing brace, or its semicolon when that comes first.
fn end_of_item(code: &[char], at: usize) -> usize {
    let mut depth = 0usize;
    for (offset, char) in code[at..].iter().enumerate() {
        match char {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + offset + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + offset + 1,
            _ => {}
        }
    }
    code.len()
}

struct Blanker {
    chars: Vec<char>,
    at: usize,
    out: String,
}

impl Blanker {
    fn run(mut self) -> String {
        while let Some(char) = self.peek(0) {
            match (char, self.peek(1)) {
                ('/', Some('/')) => self.blank_while(|this| this.peek(0) != Some('\n')),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('r', Some('"' | '#')) if !self.inside_name() => self.raw_string(),
                ('\'', _) => self.char_or_lifetime(),
                _ => self.keep(),
            }
        }
        self.out
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn keep(&mut self) {
        self.out.extend(self.peek(0));
        self.at += 1;
    }

    fn blank(&mut self) {
        if let Some(char) = self.peek(0) {
            // as many bytes as before, so that positions fit both texts
            (0..char.len_utf8()).for_each(|_| self.out.push(if char == '\n' { '\n' } else { ' ' }));
        }
        self.at += 1;
    }

    fn blank_while(&mut self, more: impl Fn(&Self) -> bool) {
        while self.peek(0).is_some() && more(self) {
            self.blank();
        }
    }

    /// Is this letter the tail of a longer name (`for`, `var`), prefixes of strings aside (`br"…"`)?
    fn inside_name(&self) -> bool {
        let before = |n: usize| self.at.checked_sub(n).and_then(|at| self.chars.get(at)).copied();
        let is_name = |char: Option<char>| char.is_some_and(|char| char.is_alphanumeric() || char == '_');
        match before(1) {
            Some('b' | 'c') => is_name(before(2)),
            other => is_name(other),
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (None, _) => return,
                _ => {
                    self.blank();
                    continue;
                }
            }
            self.blank();
            self.blank();
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.keep();
        while let Some(char) = self.peek(0) {
            match char {
                '"' => return self.keep(),
                '\\' => {
                    self.blank();
                    self.blank();
                }
                _ => self.blank(),
            }
        }
    }

    fn raw_string(&mut self) {
        let hashes = self.chars[self.at + 1..].iter().take_while(|char| **char == '#').count();
        if self.peek(1 + hashes) != Some('"') {
            return self.keep(); // a raw name: r#type
        }
        (0..hashes + 2).for_each(|_| self.keep());
        let ends = |this: &Self| this.peek(0) == Some('"') && (1..=hashes).all(|n| this.peek(n) == Some('#'));
        self.blank_while(|this| !ends(this));
        (0..=hashes).for_each(|_| self.keep());
    }

    fn char_or_lifetime(&mut self) {
        let is_char = self.peek(1) == Some('\\') || self.peek(2) == Some('\'');
        self.keep();
        if !is_char {
            return;
        }
        if self.peek(0) == Some('\\') {
            self.blank();
        }
        self.blank();
        self.blank_while(|this| this.peek(0) != Some('\''));
        self.keep();
    }
}

#[cfg(test)]
mod tests {
    use super::{code, lines_with, product_code};

    #[test]
    fn comments_and_strings_are_no_code() {
        for text in ["// word", "/* a /* word */ word */", "\"word\"", "\"\\\" word\"", "r#\" \" word \"#", "br\"word\"", "'\"'; // word"] {
            assert_eq!(lines_with(&code(text), "word"), [0usize; 0], "{text} became {}", code(text));
        }
    }

    #[test]
    fn code_beside_them_stays_where_it_was() {
        let text = "let a = \"ü\"; word /* x\n */ word('\\'', 'b', &'life word) // word";
        assert_eq!(code(text).len(), text.len());
        assert_eq!(lines_with(&code(text), "word"), [1, 2]);
        assert_eq!(lines_with(&code("r#type word r\"x\" word"), "word"), [1]);
    }

    #[test]
    fn a_word_stands_by_itself() {
        assert_eq!(lines_with("words\nsword\nword\nword_\n(word)", "word"), [3, 5]);
        assert_eq!(lines_with("a::print!\neprint!()\nprint!()", "print!"), [1, 3]);
        assert_eq!(lines_with("std::environment\nstd::env", "std::env"), [2]);
    }

    #[test]
    fn tests_are_no_product_code() {
        let text = "word\n#[cfg(test)]\nmod tests {\n fn a() { word }\n}\nword\n#[cfg(test)]\nuse word;\nword";
        assert_eq!(lines_with(&product_code(text), "word"), [1, 6, 9]);
    }
}
