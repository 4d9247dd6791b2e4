//! What can happen: every kind of event there is.

use hostler_core::NoticeKind;

/// Makes the enum, its words and its list from one table, so that none of them can lack a kind.
macro_rules! kinds {
    ($($kind:ident $word:literal $meaning:literal)*) => {
        /// A kind of event. Words on the wire never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind {
            $(#[doc = $meaning] $kind,)*
        }

        impl EventKind {
            /// Each.
            pub const ALL: &[EventKind] = &[$(EventKind::$kind),*];

            /// Its word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(EventKind::$kind => $word),* }
            }

            /// What has happened, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(EventKind::$kind => $meaning),* }
            }
        }
    };
}

kinds! {
    Starting "starting" "A start was begun."
    Started "started" "The backend has brought it up."
    Adopted "adopted" "Found running after a restart of the host, and taken up again."
    StartFailed "start-failed" "A start did not work."
    Exited "exited" "It ended by itself."
    Completed "completed" "It ran to success."
    Restarting "restarting" "It will be restarted; the message says when and why."
    Failed "failed" "Parked: nothing more happens without a request."
    Stopping "stopping" "A stop was begun."
    Stopped "stopped" "Nothing of it is alive any more."
    StopFailed "stop-failed" "A stop did not work, and is tried again."
    HealthChanged "health-changed" "Its health changed; the message says from what to what."
    Unknown "unknown" "The backend cannot say where it is."
    Known "known" "The backend can say again."
    Abandoned "abandoned" "The engine had something that nobody wants; it is destroyed."
    Trouble "trouble" "Something went wrong beside the task, such as a removal."
    Removed "removed" "It is no longer among the services."
    Scaled "scaled" "Another number of replicas is wanted."
    Updated "updated" "Its backend has changed it while it runs."
    UpdateFailed "update-failed" "Its backend has not; the message says what follows."
    SignalSent "signal-sent" "Somebody sent it a signal."
    CommandRun "command-run" "Somebody ran a command inside it; arguments are not kept."
    Stranger "stranger" "An engine has something with this host's tag that nobody here knows."
    StrangerKilled "stranger-killed" "Somebody ended one."
    DeploymentStarted "deployment-started" "Somebody deployed it."
    DeploymentCompleted "deployment-completed" "What was deployed is up and well."
    DeploymentFailed "deployment-failed" "What was deployed did not come up; the message says why."
    HeartbeatMissed "heartbeat-missed" "It has sent no heartbeat for longer than it said it would."
    HeartbeatBack "heartbeat-back" "It sends heartbeats again."
    PluginDenied "plugin-denied" "A capability said no to a plugin."
    SecretRevealed "secret-revealed" "A plugin is told a secret."
    PluginFailed "plugin-failed" "A call trapped, ran out of time or lied."
    PluginPutAside "plugin-put-aside" "Calls about one service broke a plugin so often that it is not asked about it for a while."
    PluginTakenBack "plugin-taken-back" "It answers about that service again."
    PluginQuarantined "plugin-quarantined" "A plugin breaks whatever it is asked: nothing of it is called for a while."
    PluginRecovered "plugin-recovered" "It answers again."
    PluginUpgraded "plugin-upgraded" "Another component is in force, and is watched."
    PluginKept "plugin-kept" "It stood its time."
    PluginRolledBack "plugin-rolled-back" "The component before is in force again."
    PluginNotRolledBack "plugin-not-rolled-back" "It should be, and cannot; the message says why."
    PluginReset "plugin-reset" "What the configuration leads to is in force again."
    PluginRemoved "plugin-removed" "A plugin is gone, with its last task."
    EventsLeftOut "events-left-out" "Events of a workspace came faster than its quota allows; so many were not kept."
    PluginLoaded "plugin-loaded" "A configuration has brought a plugin, or another component for one."
    AlertFired "alert-fired" "What a rule of alerts looks for has held for its time."
    AlertResolved "alert-resolved" "It holds no more."
    AlertUndelivered "alert-undelivered" "Somebody could not be told of alerts, and is not told of these any more."
    Operation "operation" "An operation was queued, started, tried again, is done, has failed or was cancelled; the message says which."
}

impl EventKind {
    /// The one with this word.
    pub fn of(word: &str) -> Option<EventKind> {
        EventKind::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }

    /// Is it about what a plugin does, or is told?
    pub fn is_about_plugins(self) -> bool {
        self == EventKind::SecretRevealed || self.as_str().starts_with("plugin-")
    }
}

impl From<NoticeKind> for EventKind {
    fn from(kind: NoticeKind) -> EventKind {
        match kind {
            NoticeKind::Starting => EventKind::Starting,
            NoticeKind::Started => EventKind::Started,
            NoticeKind::Adopted => EventKind::Adopted,
            NoticeKind::StartFailed => EventKind::StartFailed,
            NoticeKind::Exited => EventKind::Exited,
            NoticeKind::Completed => EventKind::Completed,
            NoticeKind::Restarting => EventKind::Restarting,
            NoticeKind::Failed => EventKind::Failed,
            NoticeKind::Stopping => EventKind::Stopping,
            NoticeKind::Stopped => EventKind::Stopped,
            NoticeKind::StopFailed => EventKind::StopFailed,
            NoticeKind::HealthChanged => EventKind::HealthChanged,
            NoticeKind::Unknown => EventKind::Unknown,
            NoticeKind::Known => EventKind::Known,
            NoticeKind::Abandoned => EventKind::Abandoned,
            NoticeKind::Trouble => EventKind::Trouble,
            NoticeKind::Removed => EventKind::Removed,
            NoticeKind::Scaled => EventKind::Scaled,
            NoticeKind::Updated => EventKind::Updated,
            NoticeKind::UpdateFailed => EventKind::UpdateFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_core_tells_has_the_same_word_here() {
        let words = EventKind::ALL.iter().filter_map(|kind| serde_json::from_value::<NoticeKind>(kind.as_str().into()).ok());
        let cores: Vec<NoticeKind> = words.collect();
        assert_eq!(cores.len(), 20, "each of the core's is found by its word");
        for kind in cores {
            assert_eq!(serde_json::to_value(kind).ok(), Some(EventKind::from(kind).as_str().into()));
        }
    }

    #[test]
    fn the_operations_guide_has_each_kind_and_no_other() {
        let guide = include_str!("../../../../docs/OPERATIONS.md");
        let (_, after) = guide.split_once("\n| kind | what has happened |\n|---|---|\n").expect("the guide has the table of kinds");
        let told: Vec<&str> = after.lines().take_while(|line| line.starts_with('|')).collect();
        let made: Vec<String> = EventKind::ALL.iter().map(|kind| format!("| `{}` | {} |", kind.as_str(), kind.meaning())).collect();
        assert_eq!(told, made);
    }
}
