//! `${VAR}` in Compose's forms: taken apart, filled in where a value is needed, and written in the service file's own forms where it can stay.

/// A text with variables in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable { name: String, form: Form },
}

/// What is written behind the name; the flag says whether an empty variable counts as an unset one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Plain,
    Default(bool, Template),
    Required(bool, String),
    Alternative(bool, Template),
}

/// Templates within templates.
const DEEPEST: usize = 16;

/// What a variable is, if it is set.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What became of a template that was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// The text, as a service file has it.
    pub(crate) text: String,
    /// Variables that it names.
    pub(crate) names: Vec<String>,
    /// Variables that are set nowhere, and have no default.
    pub(crate) unset: Vec<String>,
    /// Variables whose form the service file does not have: what they lead to today was written.
    pub(crate) decided: Vec<String>,
}

impl Template {
    /// Takes a text apart.
    ///
    /// # Errors
    /// What is malformed, in a few words.
    pub(crate) fn parse(text: &str) -> Result<Template, String> {
        parse(text, 0)
    }

    /// Without variables in it.
    pub(crate) fn literal(text: &str) -> Template {
        let mut template = Template::default();
        template.push_str(text);
        template
    }

    /// The text, when there is no variable in it.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Are there no parts at all?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push_str(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Part::Literal(last)) => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.0.push(Part::Literal(text.to_owned())),
        }
    }

    fn push(&mut self, part: Part) {
        match part {
            Part::Literal(text) => self.push_str(&text),
            Part::Variable { .. } => self.0.push(part),
        }
    }

    /// The other one behind this one.
    pub(crate) fn append(&mut self, other: Template) {
        other.0.into_iter().for_each(|part| self.push(part));
    }

    /// Cuts at a character that stands outside of variables.
    pub(crate) fn split(&self, at: char) -> Vec<Template> {
        let mut pieces = vec![Template::default()];
        for part in &self.0 {
            let last = |pieces: &mut Vec<Template>, part: Part| pieces.last_mut().expect("there is always one").push(part);
            match part {
                Part::Literal(text) => {
                    for (index, piece) in text.split(at).enumerate() {
                        if index > 0 {
                            pieces.push(Template::default());
                        }
                        last(&mut pieces, Part::Literal(piece.to_owned()));
                    }
                }
                Part::Variable { .. } => last(&mut pieces, part.clone()),
            }
        }
        pieces
    }

    /// The characters and variables one by one, for who splits words; a variable is `None` with its template.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (Option<char>, Template)> + '_ {
        self.0.iter().flat_map(|part| -> Box<dyn Iterator<Item = (Option<char>, Template)>> {
            match part {
                Part::Literal(text) => Box::new(text.chars().map(|c| (Some(c), Template::default()))),
                Part::Variable { .. } => Box::new(std::iter::once((None, Template(vec![part.clone()])))),
            }
        })
    }

    /// Its value today.
    ///
    /// # Errors
    /// The variable that must be set and is not, and what the file says of that.
    pub(crate) fn resolve(&self, lookup: Lookup<'_>) -> Result<String, (String, String)> {
        let mut text = String::new();
        for part in &self.0 {
            let (name, form) = match part {
                Part::Literal(literal) => {
                    text.push_str(literal);
                    continue;
                }
                Part::Variable { name, form } => (name, form),
            };
            let value = lookup(name);
            let counts = |empty_too: bool| value.clone().filter(|value| !(empty_too && value.is_empty()));
            text.push_str(&match form {
                Form::Plain => value.unwrap_or_default(),
                Form::Default(empty_too, default) => match counts(*empty_too) {
                    Some(value) => value,
                    None => default.resolve(lookup)?,
                },
                Form::Required(empty_too, message) => counts(*empty_too).ok_or_else(|| (name.clone(), message.clone()))?,
                Form::Alternative(empty_too, other) => match counts(*empty_too) {
                    Some(_) => other.resolve(lookup)?,
                    None => String::new(),
                },
            });
        }
        Ok(text)
    }

    /// As a service file has it: variables stay variables.
    pub(crate) fn write(&self, lookup: Lookup<'_>) -> Written {
        let mut written = Written::default();
        self.write_into(lookup, &mut written);
        written
    }

    fn write_into(&self, lookup: Lookup<'_>, to: &mut Written) {
        for part in &self.0 {
            match part {
                Part::Literal(text) => push_literal(&mut to.text, text),
                Part::Variable { name, form } => write_variable(name, form, lookup, to),
            }
        }
    }
}

fn write_variable(name: &str, form: &Form, lookup: Lookup<'_>, to: &mut Written) {
    let value = lookup(name);
    let is_set = |empty_too: bool| value.as_ref().is_some_and(|value| !(empty_too && value.is_empty()));
    let named = |to: &mut Written, text: String| {
        // A dollar before it would escape it.
        if to.text.ends_with('$') {
            to.text.push('$');
        }
        to.text.push_str(&text);
        to.names.push(name.to_owned());
    };
    match form {
        Form::Plain if value.is_some() => named(to, format!("${{{name}}}")),
        Form::Plain => {
            to.unset.push(name.to_owned());
            named(to, format!("${{{name}:-}}"));
        }
        Form::Default(empty_too, default) => {
            if !empty_too && value.as_deref() == Some("") && !default.is_empty() {
                to.decided.push(name.to_owned());
                return;
            }
            match default.as_literal().filter(|default| !default.contains('}') && !default.contains("${")) {
                Some(default) => named(to, format!("${{{name}:-{}}}", default.replace("$$", "$$$$"))),
                None => {
                    to.decided.push(name.to_owned());
                    if is_set(*empty_too) { named(to, format!("${{{name}}}")) } else { default.write_into(lookup, to) }
                }
            }
        }
        Form::Required(_, message) => named(to, format!("${{{name}:?{}}}", message.replace(['{', '}'], ""))),
        Form::Alternative(empty_too, other) => {
            to.decided.push(name.to_owned());
            if is_set(*empty_too) {
                other.write_into(lookup, to);
            }
        }
    }
}

/// A dollar is doubled where it could be read as the beginning of a variable.
fn push_literal(to: &mut String, text: &str) {
    for c in text.chars() {
        if to.ends_with('$') && matches!(c, '$' | '{') {
            to.push('$');
        }
        to.push(c);
    }
}

fn parse(text: &str, depth: usize) -> Result<Template, String> {
    if depth > DEEPEST {
        return Err(format!("variables are nested more than {DEEPEST} deep"));
    }
    let mut template = Template::default();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        template.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(behind) = after.strip_prefix('$') {
            template.push_str("$");
            rest = behind;
        } else if let Some(inside) = after.strip_prefix('{') {
            let end = closing(inside).ok_or("`${` is never closed")?;
            template.push(one(&inside[..end], depth)?);
            rest = &inside[end + 1..];
        } else {
            let end = name_length(after);
            if end == 0 {
                return Err("a `$` that names no variable".to_owned());
            }
            template.push(Part::Variable { name: after[..end].to_owned(), form: Form::Plain });
            rest = &after[end..];
        }
    }
    template.push_str(rest);
    Ok(template)
}

/// The brace that closes, braces of variables inside not counted.
fn closing(text: &str) -> Option<usize> {
    let (mut open, mut before) = (0_usize, ' ');
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        before = c;
    }
    None
}

fn name_length(text: &str) -> usize {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) { 0 } else { end }
}

fn one(inside: &str, depth: usize) -> Result<Part, String> {
    let end = name_length(inside);
    if end == 0 {
        return Err("`${…}` names no variable".to_owned());
    }
    let (name, rest) = inside.split_at(end);
    let (empty_too, form) = match rest.strip_prefix(':') {
        Some(form) => (true, form),
        None => (false, rest),
    };
    let form = match (form.chars().next(), form.get(1..)) {
        (None, _) if !empty_too => Form::Plain,
        (Some('-'), Some(default)) => Form::Default(empty_too, parse(default, depth + 1)?),
        (Some('?'), Some(message)) => Form::Required(empty_too, message.to_owned()),
        (Some('+'), Some(other)) => Form::Alternative(empty_too, parse(other, depth + 1)?),
        _ => return Err(format!("what stands behind `{name}` in `${{…}}` is not understood")),
    };
    Ok(Part::Variable { name: name.to_owned(), form })
}

#[cfg(test)]
mod tests {
    use super::Template;

    fn env(name: &str) -> Option<String> {
        match name {
            "SET" => Some("canary".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn check(text: &str, resolved: &str, written: &str) {
        let template = Template::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(template.resolve(&env).as_deref(), Ok(resolved), "{text}");
        assert_eq!(template.write(&env).text, written, "{text}");
    }

    #[test]
    fn each_form_means_what_compose_means_and_stays_a_variable_where_it_can() {
        check("a ${SET} b", "a canary b", "a ${SET} b");
        check("$SET/x", "canary/x", "${SET}/x");
        check("${NOT}", "", "${NOT:-}");
        check("${NOT:-d}${EMPTY:-e}${EMPTY-f}", "de", "${NOT:-d}${EMPTY:-e}");
        check("${NOT-d}", "d", "${NOT:-d}");
        check("${SET:+x}${NOT:+y}${EMPTY+z}", "xz", "xz");
        check("${NOT:-${SET}}", "canary", "${SET}");
        check("${SET:-${NOT}}", "canary", "${SET}");
        check("${SET:?it must}", "canary", "${SET:?it must}");
    }

    #[test]
    fn a_dollar_stays_a_dollar() {
        check("a$$b", "a$b", "a$b");
        check("$$SET $${SET} $$$$", "$SET ${SET} $$", "$SET $${SET} $$$");
        check("$$${SET}", "$canary", "$$${SET}");
        check("100%", "100%", "100%");
    }

    #[test]
    fn what_must_be_set_is_missed_by_name() {
        let template = Template::parse("${NOT:?say it}").expect("a good one");
        assert_eq!(template.resolve(&env), Err(("NOT".to_owned(), "say it".to_owned())));
        assert_eq!(Template::parse("${EMPTY:?}").expect("a good one").resolve(&env), Err(("EMPTY".to_owned(), String::new())));
        assert_eq!(Template::parse("${EMPTY?}").expect("a good one").resolve(&env), Ok(String::new()));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for text in ["$", "a $ b", "${", "${}", "${1}", "${A", "${A!b}", "${A:}", "$1"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        assert!(Template::parse(&"${A:-".repeat(40)).is_err());
    }
}
