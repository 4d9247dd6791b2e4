//! Values of the contract as JSON, by their types in the component: what people write, and what a recording holds.
//!
//! Read is any spelling of a name (`spec-digest`, `spec_digest`, `NotFound`); a record may leave out what is optional, text stands for
//! bytes, and an object where text is wanted is written as JSON. Written is one [`Spelling`].

use serde_json::{Map, Number, Value};
use wasmtime::component::Val;
use wasmtime::component::types::Type;

/// How names are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// As in the contract: `spec-digest`, `exited`. Bytes that are text are shown as text.
    Contract,
    /// As the host's own records are stored: `spec_digest`, `Exited`; bytes are numbers.
    Stored,
}

/// Reads a value; the error says where (a JSON pointer), what was expected, and what was there.
pub(crate) fn read(value: &Value, ty: &Type, at: &str) -> Result<Val, String> {
    let wrong = |expected: &str| Err(format!("{}: expected {expected}, found {}", place(at), kind(value)));
    macro_rules! number {
        ($of:ident, $read:ident, $int:ty) => {
            match value.$read().map(<$int>::try_from) {
                Some(Ok(number)) => Ok(Val::$of(number)),
                _ => wrong(concat!("a number that is a ", stringify!($int))),
            }
        };
    }
    match ty {
        Type::Bool => value.as_bool().map(Val::Bool).map_or_else(|| wrong("true or false"), Ok),
        Type::U8 => number!(U8, as_u64, u8),
        Type::U16 => number!(U16, as_u64, u16),
        Type::U32 => number!(U32, as_u64, u32),
        Type::U64 => number!(U64, as_u64, u64),
        Type::S8 => number!(S8, as_i64, i8),
        Type::S16 => number!(S16, as_i64, i16),
        Type::S32 => number!(S32, as_i64, i32),
        Type::S64 => number!(S64, as_i64, i64),
        Type::Float64 => value.as_f64().map(Val::Float64).map_or_else(|| wrong("a number"), Ok),
        Type::String => match value {
            Value::String(text) => Ok(Val::String(text.clone())),
            // settings are JSON in a text: nobody should have to write the text
            Value::Object(_) => Ok(Val::String(value.to_string())),
            _ => wrong("a text"),
        },
        Type::List(list) => read_list(value, &list.ty(), at),
        Type::Record(record) => {
            let Value::Object(given) = value else {
                let names: Vec<&str> = record.fields().map(|field| field.name).collect();
                return wrong(&format!("an object with {}", names.join(", ")));
            };
            let known: Vec<String> = record.fields().map(|field| field.name.to_owned()).collect();
            if let Some(stranger) = given.keys().find(|key| !known.iter().any(|name| same(key, name))) {
                return Err(format!("{}: there is no `{stranger}`; there are {}", place(at), known.join(", ")));
            }
            let field = |name: &str, ty: &Type| match given.iter().find(|(key, _)| same(key, name)) {
                Some((_, value)) => read(value, ty, &format!("{at}/{name}")),
                None if matches!(ty, Type::Option(_)) => Ok(Val::Option(None)),
                None => Err(format!("{}: `{name}` is missing; there must be {}", place(at), known.join(", "))),
            };
            record.fields().map(|each| Ok((each.name.to_owned(), field(each.name, &each.ty)?))).collect::<Result<_, _>>().map(Val::Record)
        }
        Type::Tuple(tuple) => match value {
            Value::Array(items) if items.len() == tuple.types().len() => {
                let each = items.iter().zip(tuple.types()).enumerate();
                each.map(|(nth, (item, ty))| read(item, &ty, &format!("{at}/{nth}"))).collect::<Result<_, _>>().map(Val::Tuple)
            }
            _ => wrong(&format!("a list of {}", tuple.types().len())),
        },
        Type::Enum(choice) => {
            let name = value.as_str().and_then(|text| choice.names().find(|name| same(text, name)));
            name.map(|name| Val::Enum(name.to_owned()))
                .map_or_else(|| wrong(&format!("one of {}", choice.names().collect::<Vec<_>>().join(", "))), Ok)
        }
        Type::Variant(variant) => {
            let names: Vec<&str> = variant.cases().map(|case| case.name).collect();
            let expected = format!("one of {}, with a value as {{\"NAME\": VALUE}}", names.join(", "));
            let Some((name, inner)) = tagged(value) else { return wrong(&expected) };
            let Some(case) = variant.cases().find(|case| same(name, case.name)) else { return wrong(&expected) };
            let inner = payload(inner, case.ty.as_ref(), &format!("{at}/{}", case.name))?;
            Ok(Val::Variant(case.name.to_owned(), inner))
        }
        Type::Option(option) => match value {
            Value::Null => Ok(Val::Option(None)),
            some => read(some, &option.ty(), at).map(|some| Val::Option(Some(Box::new(some)))),
        },
        Type::Result(result) => match tagged(value) {
            Some((name, inner)) if same(name, "ok") => Ok(Val::Result(Ok(payload(inner, result.ok().as_ref(), at)?))),
            Some((name, inner)) if same(name, "err") => Ok(Val::Result(Err(payload(inner, result.err().as_ref(), at)?))),
            _ => wrong("{\"ok\": VALUE} or {\"err\": VALUE}"),
        },
        other => Err(format!("{}: {other:?} is nothing that the contract has", place(at))),
    }
}

fn read_list(value: &Value, ty: &Type, at: &str) -> Result<Val, String> {
    match (value, ty) {
        (Value::String(text), Type::U8) => Ok(Val::List(text.bytes().map(Val::U8).collect())),
        (Value::Array(items), _) => {
            items.iter().enumerate().map(|(nth, item)| read(item, ty, &format!("{at}/{nth}"))).collect::<Result<_, _>>().map(Val::List)
        }
        // pairs read better as an object
        (Value::Object(pairs), Type::Tuple(tuple)) if tuple.types().len() == 2 => {
            let pair = |(key, value): (&String, &Value)| read(&Value::Array(vec![key.as_str().into(), value.clone()]), ty, &format!("{at}/{key}"));
            pairs.iter().map(pair).collect::<Result<_, _>>().map(Val::List)
        }
        _ => Err(format!("{}: expected a list, found {}", place(at), kind(value))),
    }
}

fn payload(value: Option<&Value>, ty: Option<&Type>, at: &str) -> Result<Option<Box<Val>>, String> {
    match (value, ty) {
        (None | Some(Value::Null), None) => Ok(None),
        (Some(_), None) => Err(format!("{}: it has no value", place(at))),
        (value, Some(ty)) => read(value.unwrap_or(&Value::Null), ty, at).map(|value| Some(Box::new(value))),
    }
}

/// `"name"`, or `{"name": value}`.
fn tagged(value: &Value) -> Option<(&str, Option<&Value>)> {
    match value {
        Value::String(name) => Some((name, None)),
        Value::Object(object) if object.len() == 1 => object.iter().next().map(|(name, value)| (name.as_str(), Some(value))),
        _ => None,
    }
}

/// The same name in any spelling.
fn same(one: &str, other: &str) -> bool {
    let letters = |text: &str| text.chars().filter(|letter| !matches!(letter, '-' | '_')).flat_map(char::to_lowercase).collect::<String>();
    letters(one) == letters(other)
}

fn place(at: &str) -> &str {
    if at.is_empty() { "the value" } else { at }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) => format!("the text {:?}", text.chars().take(40).collect::<String>()),
        other => other.to_string(),
    }
}

/// Writes a value.
pub(crate) fn write(value: &Val, spelling: Spelling) -> Value {
    let inner = |value: &Option<Box<Val>>| value.as_ref().map_or(Value::Null, |value| write(value, spelling));
    match value {
        Val::Bool(value) => Value::Bool(*value),
        Val::U8(number) => (*number).into(),
        Val::U16(number) => (*number).into(),
        Val::U32(number) => (*number).into(),
        Val::U64(number) => (*number).into(),
        Val::S8(number) => (*number).into(),
        Val::S16(number) => (*number).into(),
        Val::S32(number) => (*number).into(),
        Val::S64(number) => (*number).into(),
        Val::Float32(number) => Number::from_f64(f64::from(*number)).map_or(Value::Null, Value::Number),
        Val::Float64(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        Val::Char(letter) => letter.to_string().into(),
        Val::String(text) => text.clone().into(),
        Val::List(items) | Val::FixedLengthList(items) => write_list(items, spelling),
        Val::Tuple(items) => items.iter().map(|item| write(item, spelling)).collect(),
        Val::Record(fields) => Value::Object(fields.iter().map(|(name, value)| (field(name, spelling), write(value, spelling))).collect()),
        Val::Enum(name) | Val::Variant(name, None) => case(name, spelling).into(),
        Val::Variant(name, Some(value)) => tag(case(name, spelling), write(value, spelling)),
        Val::Option(value) => inner(value),
        Val::Result(Ok(value)) => tag(case("ok", spelling), inner(value)),
        Val::Result(Err(value)) => tag(case("err", spelling), inner(value)),
        Val::Flags(names) => names.iter().cloned().collect(),
        Val::Map(_) | Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => Value::Null,
    }
}

fn write_list(items: &[Val], spelling: Spelling) -> Value {
    let bytes: Option<Vec<u8>> = items.iter().map(|item| if let Val::U8(byte) = item { Some(*byte) } else { None }).collect();
    if let (Some(bytes), Spelling::Contract, false) = (bytes, spelling, items.is_empty())
        && let Ok(text) = String::from_utf8(bytes)
    {
        return text.into();
    }
    items.iter().map(|item| write(item, spelling)).collect()
}

fn tag(name: String, value: Value) -> Value {
    Value::Object(Map::from_iter([(name, value)]))
}

fn field(name: &str, spelling: Spelling) -> String {
    match spelling {
        Spelling::Contract => name.to_owned(),
        Spelling::Stored => name.replace('-', "_"),
    }
}

fn case(name: &str, spelling: Spelling) -> String {
    match spelling {
        Spelling::Contract => name.to_owned(),
        Spelling::Stored => name.split('-').map(capital).collect(),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
