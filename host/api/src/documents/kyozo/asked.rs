//! What somebody asks for: bodies in JSON:API's form, or plain, as the document's own controllers read them.

use serde_json::{Map, Value, json};

use super::{INSTANCES, ServiceType};
use hostler_core::Problem;

/// Where attributes stand in a body.
const AT: &str = "/data/attributes";
/// What every instance may use unless it says otherwise.
const LIMITS: [(&str, &str); 3] = [("memory", "512Mi"), ("cpu", "0.5"), ("storage", "1Gi")];
/// The longest name, folder and id.
const TEXT_BYTES: usize = 4_096;

/// The attributes that whoever asks may set, and of what kind each is.
const SETTABLE: [(&str, Kind); 13] = [
    ("name", Kind::Text),
    ("folder_path", Kind::Text),
    ("service_type", Kind::Type),
    ("deployment_config", Kind::Map),
    ("port_mappings", Kind::Map),
    ("environment_variables", Kind::Map),
    ("resource_limits", Kind::Map),
    ("health_check_config", Kind::MapOrNothing),
    ("scaling_config", Kind::Map),
    ("workspace_id", Kind::Id),
    ("team_id", Kind::Id),
    ("topology_detection_id", Kind::Id),
    ("parent_service_id", Kind::Id),
];

/// What the host says, and nobody sets: passed over, so that what was read can be sent back.
const READ_ONLY: [&str; 13] = [
    "id",
    "status",
    "container_id",
    "last_health_check_at",
    "health_status",
    "deployment_logs",
    "startup_time_ms",
    "memory_usage_mb",
    "cpu_usage_percent",
    "created_by_id",
    "created_at",
    "updated_at",
    "deployed_at",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// That says something.
    Text,
    /// A text, or null.
    Id,
    /// A [`ServiceType`].
    Type,
    /// An object; null is an empty one.
    Map,
    /// An object, or null.
    MapOrNothing,
}

/// Attributes that were set, each of the right kind.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Asked {
    /// By name.
    pub asked: Map<String, Value>,
}

/// What is to be changed, and what the body says whom it is about.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Patch {
    /// What is set.
    pub asked: Asked,
    /// `data.id`.
    pub id: Option<String>,
}

impl Asked {
    /// Reads `POST /service_instances`.
    ///
    /// # Errors
    /// Every mistake, at its place in the body.
    pub fn read(body: &[u8]) -> Result<Asked, Vec<Problem>> {
        let Patch { mut asked, .. } = Patch::read(body)?;
        let missing = ["name", "folder_path", "service_type"].into_iter().filter(|key| !asked.asked.contains_key(*key));
        let problems: Vec<Problem> = missing.map(|key| Problem::new(format!("{AT}/{key}"), format!("{key} is required"))).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        for (key, kind) in SETTABLE {
            let nothing = if kind == Kind::Map { json!({}) } else { Value::Null };
            asked.asked.entry(key).or_insert(nothing);
        }
        Ok(asked)
    }

    /// As it was stored.
    pub fn of(stored: Value) -> Asked {
        if let Value::Object(asked) = stored { Asked { asked } } else { Asked::default() }
    }

    /// For the store.
    pub fn stored(&self) -> Value {
        Value::Object(self.asked.clone())
    }

    /// The same with what a patch sets. Whoever sends back the limits that he was shown has not said those that nobody had said.
    #[must_use]
    pub fn patched(&self, mut patch: Asked) -> Asked {
        let said = self.table("resource_limits");
        if let Some(Value::Object(limits)) = patch.asked.get_mut("resource_limits") {
            limits.retain(|key, value| said.contains_key(key) || !LIMITS.iter().any(|(name, default)| key == name && value == default));
        }
        let mut asked = self.asked.clone();
        asked.extend(patch.asked);
        Asked { asked }
    }

    /// The same with what is `kept` wherever it says again what was `shown` of that, where parts of it were hidden behind this mark.
    ///
    /// # Errors
    /// The mark stands where nothing is behind it.
    pub fn revealed(self, kept: &Asked, shown: &Asked, mark: &str) -> Result<Asked, Vec<Problem>> {
        let mut problems = Vec::new();
        let reveal = |(key, sent): (String, Value)| {
            let at = format!("{AT}/{key}");
            let value = match (kept.asked.get(&key), shown.asked.get(&key)) {
                (Some(kept), Some(shown)) if kept != shown => reveal(sent, kept, shown, &at, mark, &mut problems),
                _ => sent,
            };
            (key, value)
        };
        let asked = self.asked.into_iter().map(reveal).collect();
        if problems.is_empty() { Ok(Asked { asked }) } else { Err(problems) }
    }

    /// A text; an empty one where there is none.
    pub fn text(&self, key: &str) -> &str {
        self.asked.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// A table; an empty one where there is none.
    pub fn table(&self, key: &str) -> Map<String, Value> {
        self.asked.get(key).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// What is in its folder.
    pub fn service_type(&self) -> ServiceType {
        ServiceType::ALL.into_iter().find(|kind| kind.as_str() == self.text("service_type")).unwrap_or(ServiceType::Containerized)
    }

    /// The same with the limits that every instance has, and with so many replicas.
    #[must_use]
    pub fn with_defaults(&self, replicas: u32) -> Asked {
        let mut asked = self.clone();
        let limits = self.limits();
        asked.asked.insert("resource_limits".to_owned(), Value::Object(limits));
        let mut scaling = self.table("scaling_config");
        scaling.insert("target_replicas".to_owned(), json!(replicas));
        asked.asked.insert("scaling_config".to_owned(), Value::Object(scaling));
        asked
    }

    /// Its limits, those that every instance has where it says none.
    pub fn limits(&self) -> Map<String, Value> {
        let mut limits = self.table("resource_limits");
        for (key, default) in LIMITS {
            limits.entry(key).or_insert_with(|| json!(default));
        }
        limits
    }
}

impl Patch {
    /// Reads `PATCH` and `PUT /service_instances/{id}`: what is not named stays.
    ///
    /// # Errors
    /// Every mistake, at its place in the body.
    pub fn read(body: &[u8]) -> Result<Patch, Vec<Problem>> {
        let (attributes, id) = attributes(body)?;
        let (mut asked, mut problems) = (Map::new(), Vec::new());
        for (key, value) in attributes {
            let Some((_, kind)) = SETTABLE.into_iter().find(|(name, _)| *name == key) else {
                if !READ_ONLY.contains(&key.as_str()) && key != "last_accessed_at" {
                    problems.push(unknown(&key));
                }
                continue;
            };
            match of_kind(&key, kind, value) {
                Ok(value) => drop(asked.insert(key, value)),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(Patch { asked: Asked { asked }, id }) } else { Err(problems) }
    }
}

/// Reads `PATCH /service_instances/{id}/scale`: `replica_count`, plain or among attributes.
///
/// # Errors
/// The mistake.
pub fn replica_count(body: &[u8]) -> Result<u32, Vec<Problem>> {
    let (attributes, _) = attributes(body)?;
    let wrong = |words: &str| vec![Problem::new(format!("{AT}/replica_count"), format!("replica_count {words}"))];
    match attributes.get("replica_count") {
        None => Err(wrong("is required")),
        Some(value) => {
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
            number.and_then(|number| u32::try_from(number).ok()).ok_or_else(|| wrong("is to be a whole number from 0"))
        }
    }
}

/// Attributes of a resource, and its id where it says one.
type Resource = (Map<String, Value>, Option<String>);

/// The attributes of `{"data": {"type", "id", "attributes"}}`, or of an object that is nothing but attributes.
fn attributes(body: &[u8]) -> Result<Resource, Vec<Problem>> {
    let wrong = |at: &str, words: &str| vec![Problem::new(at, words)];
    let whole: Value = serde_json::from_slice(body).map_err(|error| wrong("", &format!("the body is no JSON: {error}")))?;
    let Value::Object(mut whole) = whole else { return Err(wrong("", "the body is to be an object")) };
    let Some(data) = whole.remove("data") else { return Ok((whole, None)) };
    let Value::Object(mut data) = data else { return Err(wrong("/data", "data is to be one resource object")) };
    match data.get("type").map(Value::as_str) {
        None | Some(Some(INSTANCES | "service_instance")) => {}
        Some(_) => return Err(wrong("/data/type", &format!("type is to be {INSTANCES}"))),
    }
    let id = data.get("id").and_then(Value::as_str).map(str::to_owned);
    match data.remove("attributes") {
        None => Ok((Map::new(), id)),
        Some(Value::Object(attributes)) => Ok((attributes, id)),
        Some(_) => Err(wrong(AT, "attributes are to be an object")),
    }
}

fn of_kind(key: &str, kind: Kind, value: Value) -> Result<Value, Problem> {
    let wrong = |words: &str| Err(Problem::new(format!("{AT}/{}", hostler_core::pointer_key(key)), format!("{key} {words}")));
    match (kind, value) {
        (Kind::Text | Kind::Id, Value::String(text)) if text.contains('\0') || text.len() > TEXT_BYTES => {
            wrong(&format!("is to be a text of at most {TEXT_BYTES} bytes, without NUL"))
        }
        (Kind::Text, Value::String(text)) if text.trim().is_empty() => wrong("is empty"),
        (Kind::Type, Value::String(text)) if !ServiceType::ALL.iter().any(|kind| kind.as_str() == text) => {
            let words: Vec<&str> = ServiceType::ALL.iter().map(|kind| kind.as_str()).collect();
            wrong(&format!("is to be one of {}", words.join(", ")))
        }
        (Kind::Text | Kind::Type | Kind::Id, value @ Value::String(_)) => Ok(value),
        (Kind::Map | Kind::MapOrNothing, value @ Value::Object(_)) => Ok(value),
        (Kind::Id | Kind::MapOrNothing, Value::Null) => Ok(Value::Null),
        (Kind::Map, Value::Null) => Ok(json!({})),
        (Kind::Text | Kind::Type | Kind::Id, _) => wrong("is to be a text"),
        (Kind::Map | Kind::MapOrNothing, _) => wrong("is to be an object"),
    }
}

fn reveal(sent: Value, kept: &Value, shown: &Value, at: &str, mark: &str, problems: &mut Vec<Problem>) -> Value {
    if sent == *shown {
        return kept.clone();
    }
    match (sent, kept, shown) {
        (Value::Object(sent), Value::Object(kept), Value::Object(shown)) => {
            let mut revealed = Map::new();
            for (key, sent) in sent {
                let at = format!("{at}/{}", hostler_core::pointer_key(&key));
                let value = match (kept.get(&key), shown.get(&key)) {
                    (Some(kept), Some(shown)) => reveal(sent, kept, shown, &at, mark, problems),
                    _ => plain(sent, key.contains(mark), &at, mark, problems),
                };
                revealed.insert(key, value);
            }
            Value::Object(revealed)
        }
        (Value::Array(sent), Value::Array(kept), Value::Array(shown)) => {
            let reveal = |(index, sent): (usize, Value)| {
                let at = format!("{at}/{index}");
                match (kept.get(index), shown.get(index)) {
                    (Some(kept), Some(shown)) => reveal(sent, kept, shown, &at, mark, problems),
                    _ => plain(sent, false, &at, mark, problems),
                }
            };
            sent.into_iter().enumerate().map(reveal).collect()
        }
        (sent, ..) => plain(sent, false, at, mark, problems),
    }
}

/// A value that is new: the mark stands for nothing there.
fn plain(sent: Value, marked: bool, at: &str, mark: &str, problems: &mut Vec<Problem>) -> Value {
    if marked || has(&sent, mark) {
        let problem = Problem::new(at, format!("`{mark}` stands here for a secret, and none is kept at this place"));
        problems.push(problem.hint("send the secret itself, or what was shown, unchanged"));
    }
    sent
}

/// Does this text stand in it?
fn has(value: &Value, text: &str) -> bool {
    match value {
        Value::String(own) => own.contains(text),
        Value::Array(items) => items.iter().any(|item| has(item, text)),
        Value::Object(fields) => fields.values().any(|value| has(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn unknown(key: &str) -> Problem {
    let shown: String = key.escape_default().take(64).collect();
    let problem = Problem::new(format!("{AT}/{}", hostler_core::pointer_key(key)), format!("there is no attribute `{shown}`"));
    match hostler_core::closest(key, SETTABLE.iter().map(|(name, _)| *name)) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem,
    }
}
