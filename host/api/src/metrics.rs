//! Every figure that `GET /metrics` has: its name, what it is and by what it is told apart. One prefix, base units, and labels whose values
//! are few: names of services, checks and plugins, words of closed lists.

/// What becomes of a figure over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// It only rises, until it begins anew.
    Counter,
    /// It rises and falls.
    Gauge,
    /// Counts by size: `_bucket`, `_sum` and `_count`.
    Histogram,
}

impl Type {
    /// Its word in the text format.
    pub fn as_str(self) -> &'static str {
        match self {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        }
    }
}

macro_rules! metrics {
    ($($metric:ident $name:literal $type:ident [$($label:literal)*] $help:literal)*) => {
        /// One family of figures.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $(#[doc = $help] $metric,)*
        }

        impl Metric {
            /// Each, in the order in which they are told.
            pub const ALL: &[Metric] = &[$(Metric::$metric),*];

            /// Its name, prefix and unit included.
            pub fn name(self) -> &'static str {
                match self { $(Metric::$metric => concat!("hostler_", $name)),* }
            }

            /// What becomes of it over time.
            pub fn kind(self) -> Type {
                match self { $(Metric::$metric => Type::$type),* }
            }

            /// What its figures are told apart by.
            pub fn labels(self) -> &'static [&'static str] {
                match self { $(Metric::$metric => &[$($label),*]),* }
            }

            /// What it says, in one sentence.
            pub fn help(self) -> &'static str {
                match self { $(Metric::$metric => $help),* }
            }
        }
    };
}

metrics! {
    ServiceUp "service_up" Gauge ["service"] "1 when at least one of its replicas runs, else 0."
    ServiceStatus "service_status" Gauge ["service" "status"] "1 for the status that it has; there is no figure for the others."
    ServiceHealth "service_health" Gauge ["service" "health"] "1 for the health that it has; there is no figure for the others."
    ServiceReplicasWanted "service_replicas_wanted" Gauge ["service"] "How many replicas are wanted."
    ServiceReplicasRunning "service_replicas_running" Gauge ["service"] "How many of them run."
    ServiceReplicasHealthy "service_replicas_healthy" Gauge ["service"] "How many of them run and are well."
    ServiceUptimeSeconds "service_uptime_seconds" Gauge ["service" "replica"] "Age of the life that goes on."
    ServiceRestarts "service_restarts_total" Counter ["service" "replica"] "Restarts, ever."
    ServiceFailures "service_failures_total" Counter ["service" "replica"] "Failures, ever."
    ServiceCpuSeconds "service_cpu_seconds_total" Counter ["service" "replica"] "Time of a core that it has used; absent where it is not measured."
    ServiceMemoryBytes "service_memory_bytes" Gauge ["service" "replica"] "Memory that it has; absent where it is not measured."
    ServiceMemoryLimitBytes "service_memory_limit_bytes" Gauge ["service" "replica"] "Memory that it may have; absent where there is no limit."
    ServiceNetworkReceivedBytes "service_network_received_bytes_total" Counter ["service" "replica"] "Bytes that it was sent; absent where it is not measured."
    ServiceNetworkSentBytes "service_network_sent_bytes_total" Counter ["service" "replica"] "Bytes that it has sent; absent where it is not measured."
    ServiceProcesses "service_processes" Gauge ["service" "replica"] "Processes that it has; absent where it is not measured."
    CheckUptimeRatio "check_uptime_ratio" Gauge ["service" "replica" "check" "window"] "Share of the watched time of the last 1h, 24h or 7d in which the check passed; absent where nothing was watched."
    CheckResults "check_results_total" Counter ["service" "check" "verdict"] "Results of a check since the host began."
    CheckDurationSeconds "check_duration_seconds" Histogram ["service" "check"] "How long the answers of a check took, since the host began."
    PluginCalls "plugin_calls_total" Counter ["plugin"] "Calls into it since it was loaded."
    PluginFailures "plugin_failures_total" Counter ["plugin" "reason"] "Of them, those that broke it: trap, timeout, limit or malformed."
    PluginDenials "plugin_denials_total" Counter ["plugin"] "Uses of a capability that no grant covers, since it was loaded."
    PluginQuarantined "plugin_quarantined" Gauge ["plugin"] "1 while nothing of it is called, because it breaks whatever it is asked."
    Events "events_total" Counter ["kind"] "Events since the host began."
    Alerts "alerts" Gauge ["rule" "state"] "Alerts under way: pending or firing."
    AlertDeliveries "alert_deliveries_total" Counter ["sink" "result"] "Tries to tell a sink since the host began: delivered, failed (tried again) or given-up."
    AlertDrops "alert_drops_total" Counter ["sink"] "Changes of alerts since the host began of which a sink is not told, because too many wait for it."
    AlertsWaiting "alerts_waiting" Gauge ["sink"] "Changes of alerts of which a sink is not told yet."
    EventStreams "event_streams" Gauge [] "Connections that follow events."
    HttpRequests "http_requests_total" Counter ["route" "code"] "Requests since the host began, by the route's pattern (`other` for none) and the status of the answer."
    HostInfo "host_info" Gauge ["version"] "1, with the version of this program."
    HostReady "host_ready" Gauge [] "1 when work may be sent here, else 0."
    HostUptimeSeconds "host_uptime_seconds" Gauge [] "Age of this host."
    LoopRounds "loop_rounds_total" Counter [] "Rounds of the host's loop."
    StoreCommits "store_commits_total" Counter [] "Commits of the store, ever; absent while it cannot be asked."
    StoreBytes "store_bytes" Gauge [] "Size of its files."
    StoreTrouble "store_trouble" Gauge [] "1 while nothing can be committed, else 0."
    ProcessCpuSeconds "process_cpu_seconds_total" Counter [] "Time of a core that the host itself has used."
    ProcessResidentMemoryBytes "process_resident_memory_bytes" Gauge [] "Memory of the host itself."
    ProcessOpenFds "process_open_fds" Gauge [] "Files that the host itself has open."
    ProcessMaxFds "process_max_fds" Gauge [] "Files that it may have open."
    ScrapeComplete "scrape_complete" Gauge [] "1 when every engine said in time what its tasks use, else 0: then those figures are the last ones, or absent."
}

impl Metric {
    /// The one with this name.
    pub fn of(name: &str) -> Option<Metric> {
        Metric::ALL.iter().copied().find(|metric| metric.name() == name)
    }
}

/// Upper ends of the buckets of a histogram, in seconds; the last has none.
pub const BUCKETS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_their_unit_and_counters_that_they_count() {
        for metric in Metric::ALL {
            assert_eq!(metric.name().ends_with("_total"), metric.kind() == Type::Counter, "{}", metric.name());
            assert!(!metric.name().contains("milli") && !metric.name().ends_with("_ms"), "{}", metric.name());
            assert!(metric.labels().iter().all(|label| LABELS.contains(label)), "{}: {:?}", metric.name(), metric.labels());
        }
    }

    /// Whatever tells figures apart has few values.
    const LABELS: [&str; 17] = [
        "service", "replica", "check", "plugin", "kind", "status", "health", "verdict", "window", "reason", "route", "code", "version", "rule",
        "state", "sink", "result",
    ];

    #[test]
    fn the_operations_guide_has_each_metric_and_no_other() {
        let guide = include_str!("../../../docs/OPERATIONS.md");
        let (_, after) = guide.split_once("\n| metric | type | labels | what it says |\n|---|---|---|---|\n").expect("the guide has the table");
        let told: Vec<&str> = after.lines().take_while(|line| line.starts_with('|')).collect();
        let made: Vec<String> = Metric::ALL
            .iter()
            .map(|metric| {
                let labels: Vec<String> = metric.labels().iter().map(|label| format!("`{label}`")).collect();
                format!("| `{}` | {} | {} | {} |", metric.name(), metric.kind().as_str(), labels.join(", "), metric.help())
            })
            .collect();
        assert_eq!(told, made);
    }
}
