//! Types and functions of WIT as text, one item at a time.

use wit_parser::{Function, Handle, Resolve, Type, TypeDef, TypeDefKind};

/// What becomes of a word for another type, such as `type json = string`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aliases {
    /// It is told, for people.
    Told,
    /// What it stands for is told: a component may have lost the word.
    Resolved,
}

/// `name: func(a: string) -> result<_, error>`
pub(crate) fn function(resolve: &Resolve, aliases: Aliases, function: &Function) -> String {
    let parameters = function.params.iter().map(|parameter| format!("{}: {}", parameter.name, of(resolve, aliases, &parameter.ty)));
    let result = function.result.as_ref().map_or_else(String::new, |result| format!(" -> {}", of(resolve, aliases, result)));
    format!("{}: func({}){result}", function.name, parameters.collect::<Vec<_>>().join(", "))
}

/// The type that a chain of names leads to.
pub(crate) fn named(resolve: &Resolve, mut id: wit_parser::TypeId) -> wit_parser::TypeId {
    while let TypeDefKind::Type(Type::Id(next)) = resolve.types[id].kind {
        id = next;
    }
    id
}

/// `record x { a: string }`, on one line; `parts` are what stands in the braces, for whoever wants to tell of each.
pub(crate) fn definition(resolve: &Resolve, aliases: Aliases, name: &str, definition: &TypeDef) -> String {
    let kind = definition.kind.as_str();
    match parts(resolve, aliases, definition) {
        Some(parts) => {
            let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
            format!("{kind} {name} {{ {} }}", texts.join(", "))
        }
        None if matches!(definition.kind, TypeDefKind::Resource) => format!("resource {name}"),
        None => format!("type {name} = {}", kind_of(resolve, aliases, &definition.kind)),
    }
}

/// A field, case or flag.
pub(crate) struct Part {
    /// `a: string`, `exited(exit)`.
    pub(crate) text: String,
    /// What its comment says.
    pub(crate) docs: Option<String>,
}

/// What a record, variant, enum or set of flags is made of; nothing of any other type.
pub(crate) fn parts(resolve: &Resolve, aliases: Aliases, definition: &TypeDef) -> Option<Vec<Part>> {
    let part = |text: String, docs: &wit_parser::Docs| Part { text, docs: docs.contents.clone() };
    Some(match &definition.kind {
        TypeDefKind::Record(record) => {
            record.fields.iter().map(|field| part(format!("{}: {}", field.name, of(resolve, aliases, &field.ty)), &field.docs)).collect()
        }
        TypeDefKind::Variant(variant) => {
            let text =
                |name: &str, ty: &Option<Type>| ty.as_ref().map_or_else(|| name.to_owned(), |ty| format!("{name}({})", of(resolve, aliases, ty)));
            variant.cases.iter().map(|case| part(text(&case.name, &case.ty), &case.docs)).collect()
        }
        TypeDefKind::Enum(cases) => cases.cases.iter().map(|case| part(case.name.clone(), &case.docs)).collect(),
        TypeDefKind::Flags(flags) => flags.flags.iter().map(|flag| part(flag.name.clone(), &flag.docs)).collect(),
        _ => return None,
    })
}

/// A type where it is used: by its name when it has one.
fn of(resolve: &Resolve, aliases: Aliases, ty: &Type) -> String {
    let simple = match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(id) => {
            let definition = &resolve.types[named(resolve, *id)];
            if let (TypeDefKind::Type(plain), Aliases::Resolved) = (&definition.kind, aliases) {
                return of(resolve, aliases, plain);
            }
            return definition.name.clone().unwrap_or_else(|| kind_of(resolve, aliases, &definition.kind));
        }
    };
    simple.to_owned()
}

fn kind_of(resolve: &Resolve, aliases: Aliases, kind: &TypeDefKind) -> String {
    let of = |ty: &Type| of(resolve, aliases, ty);
    let maybe = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), of);
    let named = |id: &wit_parser::TypeId| of(&Type::Id(*id));
    match kind {
        TypeDefKind::Option(ty) => format!("option<{}>", of(ty)),
        TypeDefKind::List(ty) => format!("list<{}>", of(ty)),
        TypeDefKind::FixedLengthList(ty, length) => format!("list<{}, {length}>", of(ty)),
        TypeDefKind::Map(key, value) => format!("map<{}, {}>", of(key), of(value)),
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", tuple.types.iter().map(of).collect::<Vec<_>>().join(", ")),
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_owned(),
            (ok, None) => format!("result<{}>", maybe(ok)),
            (ok, err) => format!("result<{}, {}>", maybe(ok), maybe(err)),
        },
        TypeDefKind::Future(ty) => format!("future<{}>", maybe(ty)),
        TypeDefKind::Stream(ty) => format!("stream<{}>", maybe(ty)),
        TypeDefKind::Handle(Handle::Own(id)) => named(id),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", named(id)),
        TypeDefKind::Type(ty) => of(ty),
        other => other.as_str().to_owned(),
    }
}
