//! Gives the imports of a component their own names back.

use crate::contract::STAND_IN;
use wasmparser::{Parser, Payload};

/// Replaces the stand-in for `wasi` in the names of what a component imports. Code and data are not looked at: what is in them is the plugin's.
pub(crate) fn restore(mut component: Vec<u8>) -> Result<Vec<u8>, String> {
    let stand_in = format!("{STAND_IN}:");
    for place in imports(&component)? {
        let name = &mut component[place];
        if name.starts_with(stand_in.as_bytes()) {
            // both are equally long, so that every length in the file stays right
            name[..4].copy_from_slice(b"wasi");
        }
    }
    Ok(component)
}

/// Where the names of the component's own imports stand, the imports of components within it left out.
fn imports(component: &[u8]) -> Result<Vec<std::ops::Range<usize>>, String> {
    let mut places = Vec::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| error.to_string())? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) if depth > 0 => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section.into_iter_with_offsets() {
                    let (offset, import) = import.map_err(|error| error.to_string())?;
                    let name = import.name.name.as_bytes();
                    // a byte for the kind of name and a few for its length stand before it
                    let before = component[offset..].windows(name.len()).take(8).position(|window| window == name);
                    let start = offset + before.ok_or("a name of an import is not where it should be")?;
                    places.push(start..start + name.len());
                }
            }
            _ => {}
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_imports_are_restored_and_nothing_else() {
        // a component that imports an instance `wazi:a/b`, and a custom section that speaks of `wazi:` too
        let component = b"\0asm\x0d\0\x01\0\
            \x07\x03\x01\x42\0\
            \x0a\x0d\x01\0\x08wazi:a/b\x05\0\
            \0\x08\x02hi\
            wazi:"
            .to_vec();
        let restored = restore(component.clone()).expect("it is a component");
        assert_eq!(restored.len(), component.len());
        let text = String::from_utf8_lossy(&restored).into_owned();
        assert!(text.contains("wasi:a/b") && text.ends_with("wazi:"), "{text:?}");
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        assert!(restore(b"\0asm\x0d\0\x01\0\x07\x7f".to_vec()).is_err());
    }
}
