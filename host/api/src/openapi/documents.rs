//! What is said of the routes of the other documents: each is tagged with its own.

use super::operation::{Operation, Words};
use super::shapes::{
    Alive, Assigned, Container, ContainerRemoval, Force, Happened, Instance, InstanceHealth, InstanceList, InstanceMetrics, InstancePage, LastEvents,
    LastLines, Logs, Replicas, Run, Scale, WorkspaceStatus,
};
use crate::documents::{fog, images};
use crate::failure::Code;
use crate::routes::{Method, documents};

/// Somebody's engine is asked, or something is waited for, and that may fail.
const ASKED: &[Code] = &[Code::NotFound, Code::Conflict, Code::Failed, Code::Timeout];
/// What is asked for becomes a service, and that is brought about.
const CONFIGURED: &[Code] = &[Code::Config, Code::Conflict, Code::NotFound, Code::Failed, Code::Timeout];

/// All that there is of some of them.
const NOT_BUILT: &str = "Topology detection is not built yet: 501, whatever is asked";

const fn fog(operation: Operation) -> Operation {
    operation.of(Words::Orchestration)
}

const fn images(operation: Operation) -> Operation {
    operation.of(Words::Images)
}

const fn instances(operation: Operation) -> Operation {
    operation.of(Words::Instances).fails(CONFIGURED)
}

const fn put(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(Method::Put, path, id, summary)
}

/// Every route of the documents.
pub(super) const OPERATIONS: &[Operation] = &[
    fog(Operation::get(documents::SERVICES, "orchestrationServices", "Every service")).gives::<fog::Services>(),
    fog(Operation::get(documents::HEALTH, "orchestrationHealth", "How well services are")).gives::<fog::HealthOfAll>(),
    fog(Operation::post(documents::CHECK_NOW, "orchestrationCheckNow", "Runs all checks now")).gives::<fog::CheckedNow>().fails(ASKED),
    fog(Operation::post(documents::RESTART, "orchestrationRestart", "Restarts a service, and waits until it is up"))
        .takes::<Force>()
        .gives::<fog::Restarted>()
        .refuses::<fog::Restarted>()
        .fails(ASKED),
    fog(Operation::get(documents::DEPENDENCIES, "orchestrationDependencies", "Who starts after whom")).gives::<fog::Dependencies>(),
    fog(Operation::get(documents::METRICS, "orchestrationMetrics", "Figures of all services")).gives::<fog::Metrics>(),
    fog(Operation::get(documents::SERVICE, "orchestrationService", "One service in detail")).gives::<fog::Detail>(),
    images(Operation::get(documents::OK, "imagesOk", "Does the host answer?")).gives::<Alive>(),
    images(Operation::post(documents::START, "startContainer", "Wants containers of an image, and answers with the first"))
        .takes::<Run>()
        .gives::<images::Started>()
        .fails(CONFIGURED),
    images(Operation::get(documents::IMAGES, "plainImages", "What is wanted of every image")).gives::<images::Images>(),
    images(Operation::get("/images/{name}/containers", "containersOfImage", "The containers of an image"))
        .routed(documents::IMAGE)
        .gives::<images::OfImage>()
        .fails(ASKED),
    images(Operation::get("/images/{name}/health", "healthOfImage", "How each container of an image is"))
        .routed(documents::IMAGE)
        .gives::<images::HealthOfImage>()
        .fails(ASKED),
    images(Operation::post("/images/{name}/scale", "scalePlainImage", "Other bounds for an image"))
        .routed(documents::IMAGE)
        .takes::<Scale>()
        .gives::<images::Kept>()
        .fails(CONFIGURED),
    images(Operation::post("/images/{name}/reconcile", "reconcilePlainImage", "Looks at once, and waits until all is as wanted"))
        .routed(documents::IMAGE)
        .gives::<images::Kept>()
        .fails(CONFIGURED),
    images(Operation::get(documents::CONTAINERS, "plainContainers", "The containers of every image")).gives::<images::All>().fails(ASKED),
    images(Operation::patch(documents::CONTAINER, "changeContainer", "Stops a container, or starts it again"))
        .takes::<Container>()
        .gives::<images::Patched>()
        .fails(CONFIGURED),
    images(Operation::delete(documents::CONTAINER, "removeContainer", "Removes a container"))
        .asks::<ContainerRemoval>()
        .gives::<images::Deleted>()
        .fails(CONFIGURED),
    instances(Operation::get(documents::INSTANCES, "serviceInstances", "Service instances")).asks::<InstancePage>().gives::<InstanceList>(),
    instances(Operation::post(documents::INSTANCES, "createServiceInstance", "Makes a service instance"))
        .takes::<Assigned>()
        .gives::<Instance>()
        .status("201"),
    instances(Operation::get(documents::INSTANCE, "serviceInstance", "One service instance")).gives::<Instance>(),
    instances(Operation::patch(documents::INSTANCE, "changeServiceInstance", "Changes a service instance")).takes::<Assigned>().gives::<Instance>(),
    instances(put(documents::INSTANCE, "replaceServiceInstance", "The same: what is not named stays")).takes::<Assigned>().gives::<Instance>(),
    instances(Operation::delete(documents::INSTANCE, "deleteServiceInstance", "Stops a service instance, and forgets it")).nothing(),
    instances(Operation::post(documents::DEPLOY_INSTANCE, "deployServiceInstance", "Replaces what runs of it by what is wanted"))
        .gives::<Instance>()
        .status("202"),
    instances(Operation::post(documents::START_INSTANCE, "startServiceInstance", "Starts a service instance")).gives::<Instance>(),
    instances(Operation::post(documents::STOP_INSTANCE, "stopServiceInstance", "Stops a service instance")).gives::<Instance>(),
    instances(Operation::post(documents::RESTART_INSTANCE, "restartServiceInstance", "Restarts a service instance")).gives::<Instance>(),
    instances(Operation::patch(documents::SCALE_INSTANCE, "scaleServiceInstance", "Another number of replicas"))
        .takes::<Replicas>()
        .gives::<Instance>(),
    instances(Operation::get(documents::INSTANCE_LOGS, "serviceInstanceLogs", "What a service instance has written"))
        .asks::<LastLines>()
        .followed::<Logs>(),
    instances(Operation::get(documents::INSTANCE_HEALTH, "serviceInstanceHealth", "How a service instance is")).gives::<InstanceHealth>(),
    instances(Operation::get(documents::INSTANCE_METRICS, "serviceInstanceMetrics", "Its figures")).gives::<InstanceMetrics>(),
    instances(Operation::get(documents::INSTANCE_EVENTS, "serviceInstanceEvents", "What happened to it, the newest first"))
        .asks::<LastEvents>()
        .gives::<Happened>(),
    instances(Operation::get(documents::DETECTIONS, "topologyDetections", NOT_BUILT)).not_built(),
    instances(Operation::post(documents::DETECTIONS, "createTopologyDetection", NOT_BUILT)).not_built(),
    instances(Operation::get(documents::DETECTION, "topologyDetection", NOT_BUILT)).not_built(),
    instances(Operation::patch(documents::DETECTION, "changeTopologyDetection", NOT_BUILT)).not_built(),
    instances(put(documents::DETECTION, "replaceTopologyDetection", NOT_BUILT)).not_built(),
    instances(Operation::delete(documents::DETECTION, "deleteTopologyDetection", NOT_BUILT)).not_built(),
    instances(Operation::post(documents::ANALYZE, "analyzeTopologyDetection", NOT_BUILT)).not_built(),
    instances(Operation::post(documents::REANALYZE, "reanalyzeTopologyDetection", NOT_BUILT)).not_built(),
    instances(Operation::post(documents::ANALYZE_WORKSPACE, "analyzeTopologyOfWorkspace", NOT_BUILT)).not_built(),
    instances(Operation::post(documents::DEPLOY_WORKSPACE, "deployServiceInstances", "Deploys every service instance of a workspace"))
        .gives::<InstanceList>()
        .status("202"),
    instances(Operation::post(documents::STOP_WORKSPACE, "stopServiceInstances", "Stops them")).gives::<InstanceList>(),
    instances(Operation::get(documents::WORKSPACE_STATUS, "serviceInstancesStatus", "How they are")).gives::<WorkspaceStatus>(),
];
