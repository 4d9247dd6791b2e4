//! Traces for whoever collects them by OpenTelemetry: off until a configuration says where to. Then each request, each decision that does
//! something, each action and each call of a plugin is a span, and what one of them brings about is below it. Off, each costs a look at a flag.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use hostler_api::config::Telemetry as Config;
use hostler_core::Action;
use http_body_util::Full;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{FutureExt, Link, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider};

use crate::desk::Desk;
use crate::message::Message;
use crate::outgoing;

/// How long the collector may take to take some.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long spans are kept for others to come along.
const GATHER: Duration = Duration::from_secs(1);
/// Spans that wait for the collector; more are dropped.
const ROOM: usize = 8_192;
/// How long the last of them may take at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Methods of HTTP.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Where spans go.
pub(crate) struct Telemetry {
    owner: String,
    on: AtomicBool,
    live: RwLock<Option<Live>>,
}

struct Live {
    config: Config,
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Telemetry {
    /// Nowhere, yet.
    pub(crate) fn new(owner: &str) -> Telemetry {
        Telemetry { owner: owner.to_owned(), on: AtomicBool::new(false), live: RwLock::new(None) }
    }

    /// From now on they go there.
    pub(crate) fn want(&self, config: Option<Config>) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if live.as_ref().map(|live| &live.config) == config.as_ref() {
            return;
        }
        let before = live.take();
        *live = config.and_then(|config| self.open(config));
        self.on.store(live.is_some(), Ordering::Release);
        drop(live);
        if let Some(before) = before {
            // It waits for the collector that was.
            tokio::task::spawn_blocking(move || before.provider.shutdown_with_timeout(FAREWELL));
        }
    }

    /// Sends what is left, and nothing more.
    pub(crate) async fn close(&self) {
        self.on.store(false, Ordering::Release);
        let live = self.live.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(live) = live else { return };
        let closing = tokio::task::spawn_blocking(move || live.provider.shutdown_with_timeout(FAREWELL));
        if tokio::time::timeout(FAREWELL, closing).await.is_err() {
            tracing::debug!("the collector of traces did not take the last of them in time");
        }
    }

    fn open(&self, config: Config) -> Option<Live> {
        let client = Client { handle: tokio::runtime::Handle::current(), ca: config.ca.clone(), trouble: Arc::default() };
        let endpoint = format!("{}/v1/traces", config.otlp.trim_end_matches('/'));
        let exporter = SpanExporter::builder().with_http().with_http_client(client).with_endpoint(endpoint).with_timeout(PATIENCE).build();
        let exporter = exporter.map_err(|error| tracing::error!(%error, "traces cannot be sent")).ok()?;
        let batches = BatchConfigBuilder::default().with_max_queue_size(ROOM).with_scheduled_delay(GATHER).build();
        let resource = Resource::builder_empty()
            .with_service_name(config.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", self.owner.clone()));
        let share = f64::from(config.sample_permille) / 1_000.0;
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            // Whoever asks with a trace of his own decides about it.
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))))
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("hostler");
        Some(Live { config, provider, tracer })
    }

    fn tracer(&self) -> Option<SdkTracer> {
        if !self.on.load(Ordering::Acquire) {
            return None;
        }
        self.live.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|live| live.tracer.clone())
    }

    /// Begins a request, below whatever its caller is in (`traceparent`).
    pub(crate) fn request(&self, method: &str, route: &str, headers: &HeaderMap) -> Option<Context> {
        let tracer = self.tracer()?;
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
        // Anybody may call a method anything.
        let method = if METHODS.contains(&method) { method } else { "_OTHER" };
        let attributes = vec![KeyValue::new("http.request.method", method.to_owned()), KeyValue::new("http.route", route.to_owned())];
        let span = tracer.span_builder(format!("{method} {route}")).with_kind(SpanKind::Server).with_attributes(attributes);
        Some(begin(&tracer, span, &parent))
    }

    /// Begins a decision that came of these; of more than one it is below the first, and points at the others.
    pub(crate) fn decision(&self, because: &[Context], since: SystemTime, actions: usize) -> Option<Context> {
        let tracer = self.tracer()?;
        let nothing = Context::new();
        let (parent, others) = because.split_first().map_or((&nothing, &[][..]), |(first, others)| (first, others));
        let links = others.iter().map(|other| Link::with_context(other.span().span_context().clone())).collect();
        let attributes = vec![KeyValue::new("hostler.actions", i64::try_from(actions).unwrap_or(i64::MAX))];
        let span = tracer.span_builder("decide").with_start_time(since).with_attributes(attributes).with_links(links);
        Some(begin(&tracer, span, parent))
    }

    /// Begins an action of a decision.
    pub(crate) fn action(&self, decision: &Context, desk: &Desk, action: &Action) -> Option<Context> {
        let tracer = self.tracer()?;
        let (name, attributes) = described(desk, action)?;
        let span = tracer.span_builder(name).with_attributes(attributes);
        Some(begin(&tracer, span, decision))
    }

    /// A call of a plugin is over, which the present action has made.
    pub(crate) fn called(&self, call: &hostler_wasm::Called<'_>) {
        let Some(tracer) = self.tracer() else { return };
        let parent = Context::current();
        if !parent.has_active_span() {
            return;
        }
        let attributes = vec![
            KeyValue::new("hostler.plugin", call.plugin.to_owned()),
            KeyValue::new("hostler.plugin.revision", call.revision.to_owned()),
            KeyValue::new("hostler.plugin.function", call.function),
            KeyValue::new("hostler.subject", call.subject.to_owned()),
        ];
        let name = format!("{} {}", call.plugin, call.function);
        let span = tracer.span_builder(name).with_kind(SpanKind::Internal).with_start_time(call.begun).with_attributes(attributes);
        let span = begin(&tracer, span, &parent);
        if let Some(why) = &call.error {
            span.span().set_status(Status::error(why.clone()));
        }
        span.span().end();
    }

    /// Does anybody collect?
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }
}

fn begin(tracer: &SdkTracer, span: SpanBuilder, parent: &Context) -> Context {
    parent.with_span(tracer.build_with_context(span, parent))
}

/// What an action is called, and whom it is about.
fn described(desk: &Desk, action: &Action) -> Option<(Cow<'static, str>, Vec<KeyValue>)> {
    let run = |run: &u64| KeyValue::new("hostler.run", i64::try_from(*run).unwrap_or(i64::MAX));
    let service = |name: &str| KeyValue::new("hostler.service", name.to_owned());
    let replica = |replica: &u32| KeyValue::new("hostler.replica", i64::from(*replica));
    let plugin = |name: &str| KeyValue::new("hostler.plugin", name.to_owned());
    let of_run = |word: &'static str, id: &u64, backend: &str| {
        let owner = desk.core.owner_of(*id);
        let more = owner.into_iter().flat_map(|(name, number)| [service(name.as_str()), replica(&number)]);
        (Cow::Borrowed(word), [run(id), plugin(backend)].into_iter().chain(more).collect())
    };
    let of_spec = |word, id: &u64, number: &u32, spec: &hostler_core::Spec, by: &str| {
        (Cow::Borrowed(word), vec![run(id), replica(number), service(spec.name.as_str()), plugin(by)])
    };
    Some(match action {
        Action::Start { run, replica, spec } => of_spec("start", run, replica, spec, &spec.backend.plugin),
        Action::Update { run, replica, spec, .. } => of_spec("update", run, replica, spec, &spec.backend.plugin),
        Action::Check { run, replica, check, spec, .. } => of_spec("check", run, replica, spec, &spec.checks.get(*check)?.plugin),
        Action::Stop { run, backend, .. } => of_run("stop", run, backend),
        Action::Destroy { run, backend, .. } => of_run("destroy", run, backend),
        Action::Look { backend, .. } => (Cow::Borrowed("look"), vec![plugin(backend)]),
        Action::List { backend } => (Cow::Borrowed("list"), vec![plugin(backend)]),
        Action::Save(_) | Action::Tell(_) => return None,
    })
}

/// What is under way, if somebody collects it.
pub(crate) fn current() -> Option<Context> {
    let context = Context::current();
    context.has_active_span().then_some(context)
}

/// The same message, with what it came of.
pub(crate) fn traced(message: Message) -> Message {
    match current() {
        Some(context) => Message::Traced(context, Box::new(message)),
        None => message,
    }
}

/// A message alone, for whoever cannot hear now what it came of.
pub(crate) fn untraced(message: Message) -> Message {
    match message {
        Message::Traced(_, message) => *message,
        other => other,
    }
}

/// What is under way did not work.
pub(crate) fn failed(why: &str) {
    if let Some(context) = current() {
        context.span().set_status(Status::error(why.to_owned()));
    }
}

/// A request is answered.
pub(crate) fn answered(request: &Context, status: u16) {
    let span = request.span();
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
    if status >= 500 {
        span.set_status(Status::error(""));
    }
    span.end();
}

/// Runs an action on its own, as a part of what is under way; with it, that ends.
pub(crate) fn spawn(action: impl Future<Output = ()> + Send + 'static) {
    match current() {
        None => drop(tokio::spawn(action)),
        Some(context) => {
            let own = context.clone();
            let action = async move {
                action.await;
                own.span().end();
            };
            drop(tokio::spawn(action.with_context(context)));
        }
    }
}

/// Sends what the collector is to have, on the host's own executor: batches come from a thread that has none.
struct Client {
    handle: tokio::runtime::Handle,
    ca: Option<String>,
    /// The last one was not taken.
    trouble: Arc<AtomicBool>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl HttpClient for Client {
    // As `async_trait` would write it.
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let (ca, trouble) = (self.ca.clone(), Arc::clone(&self.trouble));
        let sent = self.handle.spawn(async move {
            let sent = tokio::time::timeout(PATIENCE, outgoing::send(request.map(Full::new), ca.as_deref())).await;
            let answer = sent.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())));
            let why = match &answer {
                Ok(answer) if answer.status().is_success() => None,
                Ok(answer) => Some(format!("answered {}", answer.status())),
                Err(why) => Some(why.clone()),
            };
            // Said once, and not for each batch.
            match (why, trouble.load(Ordering::Acquire)) {
                (Some(why), false) => tracing::warn!(why, "the collector takes no traces; those that find no room are dropped"),
                (None, true) => tracing::info!("the collector takes traces again"),
                (Some(_), true) | (None, false) => return answer,
            }
            trouble.fetch_xor(true, Ordering::AcqRel);
            answer
        });
        Box::pin(async move { Ok(sent.await??) })
    }
}
