//! What is said of each route.

use super::operation::Operation;
use crate::failure::Code;
use crate::routes::{self, Method};
use crate::wire::{self, DeployRequest, OperationList, OperationQuery, OperationsQuery};
use crate::wire::{
    ActionResult, AdoptRequest, ApplyRequest, AuditPage, AuditQuery, CheckNow, CheckNowRequest, ContainerList, DiscoveryQuery, DownRequest,
    EventItem, EventsQuery, ExecRequest, ExecResult, Explanation, FoundList, Graph, HealthReport, Heartbeat, HeartbeatRequest, History, HistoryQuery,
    HostInfo, Image, ImageHealth, ImageList, ImageRequest, ImageScale, LogItem, LogsQuery, NewToken, Plan, PluginDetail, PluginList, Reconciled,
    RecordingItem, RecordingQuery, Registry, RegistryQuery, RegistryStatistics, ReleaseRequest, Removal, Removed, RestartRequest, Revised,
    RevokedToken, RollbackRequest, ScaleRequest, ServiceDetail, ServiceList, ServiceMetrics, ServiceQuery, ServiceSpec, ServicesQuery,
    ShutdownRequest, SignalRequest, SignalResult, SpecRequest, StartRequest, Stats, StatsQuery, StopRequest, StrangerList, StrangerRequest,
    StrangerResult, TeamDetail, TeamList, TeamMembers, TeamRequest, TokenList, TokenRequest, UpgradeRequest, WorkspaceChange, WorkspaceDetail,
    WorkspaceList, WorkspaceRequest,
};
use crate::wire::{AlertList, AlertsQuery, SilenceList, SilenceRequest, Silenced, TestRequest, Tested};

/// A service that is named and is not there, or stands in the way.
const BY_NAME: &[Code] = &[Code::NotFound, Code::Conflict, Code::Invalid];
/// Somebody's plugin or engine is asked, and may fail.
const ASKED: &[Code] = &[Code::NotFound, Code::Conflict, Code::Failed, Code::Timeout];
/// A configuration is read.
const CONFIGURED: &[Code] = &[Code::Config, Code::Conflict, Code::NotFound, Code::Failed];

/// Every route of the native API.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::get(routes::OPENAPI, "openapi", "This document"),
    Operation::get(routes::HOST, "host", "What the host is and how it is").gives::<HostInfo>(),
    Operation::get(routes::SERVICES, "services", "Every service").asks::<ServicesQuery>().gives::<ServiceList>().fails(BY_NAME),
    Operation::get(routes::SERVICE, "service", "One service in detail").asks::<ServiceQuery>().gives::<ServiceDetail>(),
    Operation::new(Method::Put, routes::SERVICE, "putService", "Wants a service beside the configuration, as it is written here")
        .takes::<SpecRequest>()
        .gives::<ActionResult>()
        .tagged()
        .conditional()
        .fails(&[Code::Config, Code::Conflict, Code::Changed, Code::Failed]),
    Operation::delete(routes::SERVICE, "deleteService", "Stops a service that stands in no configuration, and forgets it")
        .asks::<Removal>()
        .gives::<ActionResult>()
        .conditional()
        .fails(&[Code::Conflict, Code::Changed]),
    Operation::get(routes::SPEC, "spec", "One service as it was written").gives::<ServiceSpec>().tagged(),
    Operation::get(routes::EXPLAIN, "explain", "Why a service is as it is, and what happens next").gives::<Explanation>(),
    Operation::get(routes::HISTORY, "history", "What a service's checks have said").asks::<HistoryQuery>().gives::<History>().fails(BY_NAME),
    Operation::get(routes::LOGS, "logs", "What a service has written").asks::<LogsQuery>().lines::<LogItem>().fails(ASKED),
    Operation::post(routes::SIGNAL, "signal", "Sends a signal to a service").takes::<SignalRequest>().gives::<SignalResult>().fails(ASKED),
    Operation::post(routes::EXEC, "exec", "Runs a command inside a service").takes::<ExecRequest>().gives::<ExecResult>().fails(ASKED),
    Operation::post(routes::DEPLOY, "deploy", "Brings a service into force, starts it, and waits until it is well")
        .takes::<DeployRequest>()
        .always_later()
        .fails(CONFIGURED),
    Operation::post(routes::START, "start", "Starts services and what they depend on")
        .takes::<StartRequest>()
        .gives::<ActionResult>()
        .or_later()
        .fails(BY_NAME),
    Operation::post(routes::STOP, "stop", "Stops services").takes::<StopRequest>().gives::<ActionResult>().or_later().fails(BY_NAME),
    Operation::post(routes::RESTART, "restart", "Restarts services").takes::<RestartRequest>().gives::<ActionResult>().or_later().fails(BY_NAME),
    Operation::post(routes::SCALE, "scale", "Changes how many replicas services have")
        .takes::<ScaleRequest>()
        .gives::<ActionResult>()
        .or_later()
        .fails(BY_NAME),
    Operation::post(routes::PLAN, "plan", "What an apply would do").takes::<ApplyRequest>().gives::<Plan>().fails(CONFIGURED),
    Operation::post(routes::APPLY, "apply", "Makes a configuration the wanted one")
        .takes::<ApplyRequest>()
        .gives::<Plan>()
        .or_later()
        .fails(CONFIGURED),
    Operation::post(routes::DOWN, "down", "Stops every service, and forgets it").takes::<DownRequest>().gives::<ActionResult>().or_later(),
    Operation::post(routes::SHUTDOWN, "shutdown", "Ends the host").takes::<ShutdownRequest>().gives::<ActionResult>(),
    Operation::get(routes::EVENTS, "events", "What happened").asks::<EventsQuery>().events::<EventItem>().fails(&[Code::Failed]),
    Operation::get(routes::EVENTS_SOCKET, "eventsSocket", "What happens, over a WebSocket")
        .asks::<EventsQuery>()
        .without(&["limit", "wait_ms", "follow"])
        .socket::<EventItem>()
        .fails(&[Code::Failed]),
    Operation::get(routes::SERVICE_EVENTS, "serviceEvents", "What happened to one service")
        .asks::<EventsQuery>()
        .without(&["services"])
        .events::<EventItem>()
        .fails(&[Code::Failed]),
    Operation::get(routes::HEALTH, "health", "How well everything is").gives::<HealthReport>(),
    Operation::post(routes::CHECK_NOW, "checkNow", "Runs checks now").takes::<CheckNowRequest>().gives::<CheckNow>().or_later().fails(BY_NAME),
    Operation::get(routes::STATS, "stats", "What services use").asks::<StatsQuery>().gives::<Stats>().fails(BY_NAME),
    Operation::get(routes::SERVICE_METRICS, "serviceMetrics", "The figures of one service").gives::<ServiceMetrics>(),
    Operation::post(routes::HEARTBEAT, "heartbeat", "A service says that it is alive")
        .takes::<HeartbeatRequest>()
        .gives::<Heartbeat>()
        .fails(BY_NAME),
    Operation::get(routes::REGISTRY, "registry", "Services for those who look for one: where each listens, and how it is")
        .asks::<RegistryQuery>()
        .gives::<Registry>(),
    Operation::get(routes::REGISTRY_STATISTICS, "registryStatistics", "How many services there are of which kind").gives::<RegistryStatistics>(),
    Operation::get(routes::METRICS, "metrics", "Every figure, for Prometheus").text(routes::PROMETHEUS),
    Operation::get(routes::GRAPH, "graph", "Who starts after whom").gives::<Graph>(),
    Operation::get(routes::PLUGINS, "plugins", "Every plugin").gives::<PluginList>(),
    Operation::get(routes::PLUGIN, "plugin", "One plugin").gives::<PluginDetail>(),
    Operation::get(routes::RECORDING, "recording", "Every call of a plugin, as it is made")
        .asks::<RecordingQuery>()
        .lines::<RecordingItem>()
        .fails(&[Code::Conflict]),
    Operation::post(routes::UPGRADE, "upgrade", "Another component for a plugin").takes::<UpgradeRequest>().gives::<Revised>().fails(CONFIGURED),
    Operation::post(routes::ROLLBACK, "rollback", "Back to the component before").takes::<RollbackRequest>().gives::<Revised>().fails(CONFIGURED),
    Operation::get(routes::IMAGES, "images", "Images of which containers are wanted").gives::<ImageList>(),
    Operation::post(routes::IMAGES, "runImage", "Wants containers of an image").takes::<ImageRequest>().gives::<Image>().fails(CONFIGURED),
    Operation::delete(routes::IMAGE, "removeImage", "Wants no container of an image any more").asks::<Removal>().gives::<ActionResult>(),
    Operation::post(routes::SCALE_IMAGE, "scaleImage", "Other bounds for an image").takes::<ImageScale>().gives::<Image>().fails(CONFIGURED),
    Operation::post(routes::RECONCILE_IMAGE, "reconcileImage", "Looks at once, and waits until all is as wanted").gives::<Reconciled>().fails(ASKED),
    Operation::get(routes::IMAGE_CONTAINERS, "imageContainers", "The containers of an image").gives::<ContainerList>().fails(ASKED),
    Operation::get(routes::IMAGE_HEALTH, "imageHealth", "How each container of an image is").gives::<ImageHealth>().fails(ASKED),
    Operation::get(routes::CONTAINERS, "containers", "The containers of every image").gives::<ContainerList>().fails(ASKED),
    Operation::get(routes::DISCOVERY, "discovery", "What already runs on engines").asks::<DiscoveryQuery>().gives::<FoundList>().fails(ASKED),
    Operation::post(routes::ADOPT, "adopt", "Takes over something that runs").takes::<AdoptRequest>().gives::<ActionResult>().fails(&[
        Code::Config,
        Code::NotFound,
        Code::Conflict,
        Code::Failed,
        Code::Timeout,
    ]),
    Operation::post(routes::RELEASE, "release", "Lets go of what was taken over").takes::<ReleaseRequest>().gives::<ActionResult>().fails(BY_NAME),
    Operation::get(routes::STRANGERS, "strangers", "What bears a tag and is nobody's here").gives::<StrangerList>().fails(ASKED),
    Operation::post(routes::KILL_STRANGER, "killStranger", "Ends a stranger").takes::<StrangerRequest>().gives::<StrangerResult>().fails(ASKED),
    Operation::post(routes::IGNORE_STRANGER, "ignoreStranger", "Speaks no more of a stranger")
        .takes::<StrangerRequest>()
        .gives::<StrangerResult>()
        .fails(ASKED),
    Operation::get(routes::TOKENS, "tokens", "Every token, without its secret").gives::<TokenList>(),
    Operation::post(routes::TOKENS, "createToken", "Makes a token").takes::<TokenRequest>().gives::<NewToken>().fails(&[Code::Conflict]),
    Operation::delete(routes::TOKEN, "revokeToken", "Takes a token back").gives::<RevokedToken>(),
    Operation::get(routes::AUDIT, "audit", "Who has asked for what, and what became of it").asks::<AuditQuery>().gives::<AuditPage>(),
    Operation::get(routes::STORE_SNAPSHOT, "storeSnapshot", "Everything that the host remembers, as one file")
        .bytes(routes::SQLITE)
        .fails(&[Code::Conflict]),
    Operation::get(routes::WORKSPACES, "workspaces", "The workspaces of whoever asks").gives::<WorkspaceList>(),
    Operation::post(routes::WORKSPACES, "createWorkspace", "Makes a workspace")
        .takes::<WorkspaceRequest>()
        .gives::<WorkspaceDetail>()
        .fails(&[Code::Conflict, Code::NotFound]),
    Operation::get(routes::WORKSPACE, "workspace", "One workspace, with what is used of it").gives::<WorkspaceDetail>(),
    Operation::patch(routes::WORKSPACE, "changeWorkspace", "Changes a workspace").takes::<WorkspaceChange>().gives::<WorkspaceDetail>(),
    Operation::delete(routes::WORKSPACE, "deleteWorkspace", "Removes a workspace, with force all that is in it")
        .asks::<Removal>()
        .gives::<Removed>()
        .fails(&[Code::Conflict]),
    Operation::get(routes::TEAMS, "teams", "The teams of whoever asks").gives::<TeamList>(),
    Operation::post(routes::TEAMS, "createTeam", "Makes a team").takes::<TeamRequest>().gives::<TeamDetail>().fails(&[Code::Conflict]),
    Operation::get(routes::TEAM, "team", "One team").gives::<TeamDetail>(),
    Operation::put(routes::TEAM, "putTeam", "Sets who is in a team").takes::<TeamMembers>().gives::<TeamDetail>(),
    Operation::delete(routes::TEAM, "deleteTeam", "Removes a team that has no workspace").gives::<Removed>().fails(&[Code::Conflict]),
    Operation::get(routes::ALERTS, "alerts", "What is wrong, and what was").asks::<AlertsQuery>().gives::<AlertList>(),
    Operation::post(routes::TEST_ALERT, "testAlert", "Sends a sink a message that says that it is a test")
        .takes::<TestRequest>()
        .gives::<Tested>()
        .fails(&[Code::NotFound, Code::Failed]),
    Operation::get(routes::SILENCES, "silences", "Alerts that nobody is told of for a while").gives::<SilenceList>(),
    Operation::post(routes::SILENCES, "silence", "Tells nobody of some alerts for a while")
        .takes::<SilenceRequest>()
        .gives::<Silenced>()
        .fails(&[Code::Conflict]),
    Operation::delete(routes::SILENCE, "endSilence", "Ends a silence").gives::<Silenced>(),
    Operation::get(routes::OPERATIONS, "operations", "What the host was asked to do and does by itself")
        .asks::<OperationsQuery>()
        .gives::<OperationList>(),
    Operation::get(routes::OPERATION, "operation", "One operation").asks::<OperationQuery>().gives::<wire::Operation>(),
    Operation::post(routes::CANCEL_OPERATION, "cancelOperation", "Calls an operation off").gives::<wire::Operation>().fails(&[Code::Conflict]),
];
