//! What a story can ask of the world, in the words of the domain.

use hostler_core::{Action, Event, NoticeKind, Phase, Run, ServiceName, Span, Wanted};

use super::{Engine, World};

impl World {
    /// Who goes by this name; made when first named.
    pub fn engine(&mut self, name: &str) -> &mut Engine {
        self.engines.entry(name.to_owned()).or_default()
    }

    pub(super) fn backend_of(&self, run: Run) -> String {
        self.engines.iter().find(|(_, engine)| engine.tasks.contains_key(&run)).map(|(name, _)| name.clone()).expect("somebody runs it")
    }

    /// What a call is called: `start db`, `stop db.1` for the second replica, `kill db` for a stop without grace.
    pub(super) fn name_of(&self, action: &Action) -> String {
        match action {
            Action::Start { replica, spec, .. } => format!("start {}", label(&spec.name, *replica)),
            Action::Update { replica, spec, .. } => format!("update {}", label(&spec.name, *replica)),
            Action::Stop { run, grace, .. } => format!("{} {}", if *grace == Span::ZERO { "kill" } else { "stop" }, self.label_of(*run)),
            Action::Destroy { run, .. } => format!("destroy {}", self.label_of(*run)),
            Action::Look { backend, .. } => format!("look {backend}"),
            Action::List { backend } => format!("list {backend}"),
            Action::Check { spec, check, .. } => format!("check {}/{}", spec.name, spec.checks[*check].name),
            Action::Save(_) | Action::Tell(_) => String::new(),
        }
    }

    fn label_of(&self, run: Run) -> String {
        self.owners.get(&run).map_or_else(|| format!("#{run}"), |(name, replica)| label(name, *replica))
    }

    /// The starts, stops and destroys since the last call, in order.
    pub fn done(&mut self) -> String {
        std::mem::take(&mut self.log).join(", ")
    }

    /// The same without destroys.
    pub fn moves(&mut self) -> String {
        let moves: Vec<String> = std::mem::take(&mut self.log).into_iter().filter(|call| !call.starts_with("destroy")).collect();
        moves.join(", ")
    }

    /// The live run of a service, or of one replica (`db.1`).
    pub fn run_of(&self, label: &str) -> Option<Run> {
        let (name, replica) = label.split_once('.').map_or((label, 0), |(name, replica)| (name, replica.parse().expect("a number")));
        self.core.service(name)?.replicas.into_iter().find(|view| view.replica == replica)?.run
    }

    /// A service in one word.
    pub fn status(&self, name: &str) -> &'static str {
        self.core.status(name).as_str()
    }

    /// How well a service is, or `gone`.
    pub fn health(&self, name: &str) -> &'static str {
        self.core.service(name).map_or("gone", |view| view.health.as_str())
    }

    /// `app running, db stopped`, by name.
    pub fn statuses(&self) -> String {
        let all: Vec<String> = self.core.names().map(|name| format!("{name} {}", self.status(name.as_str()))).collect();
        all.join(", ")
    }

    /// The chain of causes, and the next step with the milliseconds until then.
    pub fn explain(&self, name: &str) -> String {
        let (mut lines, next) = self.core.explain(name);
        if let Some(next) = next {
            let when = next.at.map_or(String::new(), |at| format!(" in {}", at.since(self.now)));
            lines.push(format!("next: {}{when}", next.what));
        }
        lines.join("\n")
    }

    /// The notices of one kind about one service.
    pub fn told(&self, service: &str, kind: NoticeKind) -> Vec<&str> {
        self.notices
            .iter()
            .map(|(_, notice)| notice)
            .filter(|notice| notice.kind == kind && notice.service.as_str() == service)
            .map(|notice| &*notice.message)
            .collect()
    }

    /// Lives that an engine keeps going.
    pub fn alive(&self) -> Vec<Run> {
        let tasks = self.engines.values().flat_map(|engine| &engine.tasks);
        tasks.filter(|(_, phase)| **phase == Phase::Running).map(|(run, _)| *run).collect()
    }
}

fn label(name: &ServiceName, replica: u32) -> String {
    if replica == 0 { name.to_string() } else { format!("{name}.{replica}") }
}

/// One event in a line, for whoever looks into a seed.
pub(super) fn said(event: &Event) -> String {
    let Event::Wanted(changes) = event else { return format!("{event:?}") };
    let change = |(name, wanted): &(ServiceName, Option<Wanted>)| {
        let Some(wanted) = wanted else { return format!("\n             remove {name}") };
        let spec = &wanted.spec;
        let edges: Vec<String> = spec
            .dependencies
            .iter()
            .map(|edge| {
                format!("{}{}{}{:?}", edge.service, if edge.optional { "?" } else { "" }, if edge.restart { "!" } else { "" }, edge.condition)
            })
            .collect();
        format!(
            "\n             {name} {:?} {} starts {} restarts {} x{} {} {:?} <- {}",
            wanted.desired,
            spec.enabled,
            wanted.starts,
            wanted.restarts,
            spec.replicas.count,
            spec.task_digest,
            spec.kind,
            edges.join(" ")
        )
    };
    format!("Wanted{}", changes.iter().map(change).collect::<String>())
}
