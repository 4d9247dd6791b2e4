//! References to images, and patterns of them.

use crate::grant::pattern::matches;

/// A pattern, in the shape that whole references have: `postgres:*` is `docker.io/library/postgres:*`.
pub(crate) enum ImagePattern {
    Any,
    Some(Vec<String>),
}

impl ImagePattern {
    pub(crate) fn parse(text: &str) -> ImagePattern {
        if text == "*" {
            return ImagePattern::Any;
        }
        let whole = with_registry(text);
        // without a tag, any tag and any digest is meant
        ImagePattern::Some(if has_version(&whole) { vec![whole] } else { vec![format!("{whole}:*"), format!("{whole}@*")] })
    }

    /// An image by its id is only in `*`: nobody can say what its name is.
    pub(crate) fn admits(&self, reference: &str) -> bool {
        match self {
            ImagePattern::Any => true,
            ImagePattern::Some(_) if reference.starts_with("sha256:") => false,
            ImagePattern::Some(patterns) => {
                let whole = with_registry(reference);
                let whole = if has_version(&whole) { whole } else { format!("{whole}:latest") };
                patterns.iter().any(|pattern| matches(pattern, &whole))
            }
        }
    }
}

/// Where an image without a registry comes from is Docker's own rule.
fn with_registry(text: &str) -> String {
    match text.split_once('/') {
        Some((first, rest)) if first == "docker.io" && !rest.contains('/') => format!("docker.io/library/{rest}"),
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => text.to_owned(),
        Some(_) => format!("docker.io/{text}"),
        None => format!("docker.io/library/{text}"),
    }
}

/// Is there a tag or a digest? A colon before the last slash is a registry's port.
fn has_version(whole: &str) -> bool {
    let name = whole.rsplit('/').next().unwrap_or(whole);
    name.contains([':', '@'])
}

#[cfg(test)]
mod tests {
    use super::ImagePattern;

    #[test]
    fn a_pattern_admits_no_other_registry() {
        let check = |pattern: &str, image: &str, expected: bool| {
            assert_eq!(ImagePattern::parse(pattern).admits(image), expected, "{pattern} ~ {image}");
        };
        check("*", "sha256:abc", true);
        check("nginx", "nginx", true);
        check("nginx", "nginx:1.27", true);
        check("nginx", "docker.io/library/nginx:1.27", true);
        check("nginx", "docker.io/nginx", true);
        check("nginx", "nginx@sha256:abc", true);
        check("nginx", "evil/nginx", false);
        check("nginx:*", "nginx:5000/evil", false);
        check("nginx*", "nginx.evil.com/x:1", false);
        check("nginx:1.27", "nginx", false);
        check("registry.internal/*", "registry.internal/a/b:1", true);
        check("registry.internal/*", "registry.internal.evil.com/a", false);
        check("registry.internal:5000/*", "registry.internal:5000/a@sha256:0", true);
        check("team/*", "team/web", true);
        check("team/*", "sha256:abc", false);
    }
}
