//! The routes of [`documents`](crate::documents), which other systems' clients know. They are no part of the native API and its description.

use super::{CONFIGURE, LOOK, OPERATE, Route, changes, does, reads, removes};
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
];
