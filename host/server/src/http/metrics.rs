//! Figures: of the host for a monitoring system, and of one service as a document.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use hostler_api::metrics::Metric;
use hostler_api::routes;

use super::Door;
use super::answer::{Answer, Name, json};
use super::record::Routed;
use super::scope::Scope;
use super::table::Table;
use crate::metrics::{self, Page};
use crate::stats;

/// How long engines may take to say what their tasks use, before an answer goes out without.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn routes(table: Table) -> Table {
    table.get(routes::METRICS, of_host).get(routes::SERVICE_METRICS, of_service)
}

/// What was asked, and by how many who stay.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// By the route, as a place in the list of all (nothing: there is none), and the status of the answer.
    requests: Mutex<HashMap<(Option<usize>, u16), u64>>,
    pub(super) streams: AtomicUsize,
}

impl Traffic {
    /// Counts an answer by its route's pattern: what is asked for in vain is one, whatever it says.
    pub(super) fn count(&self, answer: &Response<Body>) {
        let (route, status) = (answer.extensions().get::<Routed>().map(|routed| routed.place), answer.status().as_u16());
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((route, status)).or_default() += 1;
    }

    fn add_to(&self, page: &mut Page) {
        page.add(Metric::EventStreams, &[], metrics::number(self.streams.load(Ordering::Relaxed) as u64));
        // Several methods of one path are one route to whoever counts.
        let mut requests: BTreeMap<(&str, u16), u64> = BTreeMap::new();
        for ((route, status), count) in &*self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            let path = route.and_then(|place| routes::every().nth(place)).map_or("other", |route| route.path);
            *requests.entry((path, *status)).or_default() += count;
        }
        for ((path, status), count) in requests {
            page.add(Metric::HttpRequests, &[path, &status.to_string()], metrics::number(count));
        }
    }
}

async fn of_host(State(door): State<Door>) -> Answer {
    let (mut page, mut services, lives, state_dir) = door
        .look(|desk| {
            let mut page = Page::default();
            let services = metrics::of_host(desk, &mut page);
            (page, services, stats::lives(desk, desk.core.names()).unwrap_or_default(), desk.state_dir.clone())
        })
        .await?;
    let (measured, complete) = door.meter.glance(&door.plugins, &lives, PATIENCE).await;
    let usages = metrics::usages(&lives, &measured);
    for service in &mut services {
        metrics::add_usage(service, &usages);
        metrics::told(service, &mut page);
    }
    page.add(Metric::ScrapeComplete, &[], f64::from(u8::from(complete)));
    page.add(Metric::LoopRounds, &[], metrics::number(*door.rounds.borrow()));
    door.traffic.add_to(&mut page);
    door.alerting.add_to(&mut page);
    // Files of the kernel and of the store: quick, but not for the executor's threads.
    let text = tokio::task::spawn_blocking(move || {
        metrics::add_process(&mut page, &state_dir);
        page.text()
    });
    let text =
        text.await.map_err(|error| hostler_api::Failure::new(hostler_api::Code::Internal, format!("the figures cannot be written: {error}")))?;
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(routes::PROMETHEUS));
    Ok(response)
}

async fn of_service(State(door): State<Door>, scope: Scope, Name(name): Name) -> Answer {
    let name = scope.name(&name)?;
    let local = name.local().to_owned();
    let (service, lives) = door
        .look(move |desk| {
            let lives = stats::lives(desk, [&name]).unwrap_or_default();
            (metrics::of_service(desk, name.as_str()), lives)
        })
        .await?;
    let mut service = service?;
    let (measured, _) = door.meter.glance(&door.plugins, &lives, PATIENCE).await;
    metrics::add_usage(&mut service, &metrics::usages(&lives, &measured));
    service.service = local;
    json(&service)
}
