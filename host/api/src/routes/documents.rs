//! The routes of [`documents`](crate::documents), which other systems' clients know. They are no part of the native API; its description
//! has them, too, each tagged with its document.

use super::{CONFIGURE, LOOK, Method, OPERATE, Route, changes, does, reads, removes};
use crate::access::Access;

/// Does the host answer? `GET`.
pub const OK: &str = "/health";
/// Wants containers of an image, and answers with the first: `POST`.
pub const START: &str = "/start/container";
/// What is wanted of every image: `GET`.
pub const IMAGES: &str = "/images";
/// `GET {image}/containers` and `{image}/health`, `POST {image}/scale` and `{image}/reconcile`: a reference may have slashes in it.
pub const IMAGE: &str = "/images/{*name}";
/// The containers of every image: `GET`.
pub const CONTAINERS: &str = "/containers";
/// One of them, by its name or id: `PATCH`, `DELETE` with `force`.
pub const CONTAINER: &str = "/containers/{name}";

/// Every service: `GET`.
pub const SERVICES: &str = "/api/orchestration/services";
/// How well they are: `GET`.
pub const HEALTH: &str = "/api/orchestration/health";
/// Runs all checks now: `POST`.
pub const CHECK_NOW: &str = "/api/orchestration/health/check-now";
/// Restarts one: `POST`.
pub const RESTART: &str = "/api/orchestration/restart/{name}";
/// Who starts after whom: `GET`.
pub const DEPENDENCIES: &str = "/api/orchestration/dependencies";
/// Figures: `GET`.
pub const METRICS: &str = "/api/orchestration/metrics";
/// One service: `GET`.
pub const SERVICE: &str = "/api/orchestration/service/{name}";

/// Service instances: `GET` all, `POST` one.
pub const INSTANCES: &str = "/api/v1/service_instances";
/// One of them: `GET`, `PATCH` or `PUT`, `DELETE`.
pub const INSTANCE: &str = "/api/v1/service_instances/{name}";
/// Replaces what runs of it by what is wanted: `POST`.
pub const DEPLOY_INSTANCE: &str = "/api/v1/service_instances/{name}/deploy";
/// `POST`.
pub const START_INSTANCE: &str = "/api/v1/service_instances/{name}/start";
/// `POST`.
pub const STOP_INSTANCE: &str = "/api/v1/service_instances/{name}/stop";
/// `POST`.
pub const RESTART_INSTANCE: &str = "/api/v1/service_instances/{name}/restart";
/// How many replicas: `PATCH`.
pub const SCALE_INSTANCE: &str = "/api/v1/service_instances/{name}/scale";
/// What it has written: `GET` with `lines` and `follow`.
pub const INSTANCE_LOGS: &str = "/api/v1/service_instances/{name}/logs";
/// How it is: `GET`.
pub const INSTANCE_HEALTH: &str = "/api/v1/service_instances/{name}/health";
/// Its figures: `GET`.
pub const INSTANCE_METRICS: &str = "/api/v1/service_instances/{name}/metrics";
/// What happened to it: `GET` with `limit`.
pub const INSTANCE_EVENTS: &str = "/api/v1/service_instances/{name}/events";
/// What folders hold, found out by looking: not built yet, 501 whatever is asked.
pub const DETECTIONS: &str = "/api/v1/topology_detections";
/// One of those: 501.
pub const DETECTION: &str = "/api/v1/topology_detections/{name}";
/// `POST`: 501.
pub const ANALYZE: &str = "/api/v1/topology_detections/{name}/analyze";
/// `POST`: 501.
pub const REANALYZE: &str = "/api/v1/topology_detections/{name}/reanalyze";
/// Of a whole workspace, `POST`: 501.
pub const ANALYZE_WORKSPACE: &str = "/api/v1/workspaces/{name}/analyze_topology";
/// Deploys every instance of a workspace: `POST`.
pub const DEPLOY_WORKSPACE: &str = "/api/v1/workspaces/{name}/deploy_services";
/// Stops them: `POST`.
pub const STOP_WORKSPACE: &str = "/api/v1/workspaces/{name}/stop_services";
/// How they are: `GET`.
pub const WORKSPACE_STATUS: &str = "/api/v1/workspaces/{name}/service_status";

/// Every route of the documents, with who may ask it.
pub const ALL: &[Route] = &[
    reads(OK, Access::Anybody),
    does(START, CONFIGURE),
    reads(IMAGES, LOOK),
    reads(IMAGE, LOOK),
    does(IMAGE, OPERATE),
    reads(CONTAINERS, LOOK),
    changes(CONTAINER, OPERATE),
    removes(CONTAINER, OPERATE),
    reads(SERVICES, LOOK),
    reads(HEALTH, LOOK),
    does(CHECK_NOW, OPERATE),
    does(RESTART, OPERATE),
    reads(DEPENDENCIES, LOOK),
    reads(METRICS, LOOK),
    reads(SERVICE, LOOK),
    reads(INSTANCES, LOOK),
    does(INSTANCES, Access::Document),
    reads(INSTANCE, LOOK),
    changes(INSTANCE, Access::Document),
    Route { method: Method::Put, path: INSTANCE, access: Access::Document },
    removes(INSTANCE, CONFIGURE),
    does(DEPLOY_INSTANCE, OPERATE),
    does(START_INSTANCE, OPERATE),
    does(STOP_INSTANCE, OPERATE),
    does(RESTART_INSTANCE, OPERATE),
    changes(SCALE_INSTANCE, OPERATE),
    reads(INSTANCE_LOGS, LOOK),
    reads(INSTANCE_HEALTH, LOOK),
    reads(INSTANCE_METRICS, LOOK),
    reads(INSTANCE_EVENTS, LOOK),
    reads(DETECTIONS, LOOK),
    does(DETECTIONS, OPERATE),
    reads(DETECTION, LOOK),
    changes(DETECTION, OPERATE),
    Route { method: Method::Put, path: DETECTION, access: OPERATE },
    removes(DETECTION, OPERATE),
    does(ANALYZE, OPERATE),
    does(REANALYZE, OPERATE),
    does(ANALYZE_WORKSPACE, OPERATE),
    does(DEPLOY_WORKSPACE, OPERATE),
    does(STOP_WORKSPACE, OPERATE),
    reads(WORKSPACE_STATUS, LOOK),
];
