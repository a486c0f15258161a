//! What checks saw of a monitor: `results`, `latency`, `uptime`, `intervals`.

use quaywatch_app::caller::Caller;
use quaywatch_app::operations::intervals::IntervalQuery as AppIntervalQuery;
use quaywatch_app::operations::latency::LatencyQuery as AppLatencyQuery;
use quaywatch_app::operations::results::ResultQuery as AppResultQuery;
use quaywatch_core::MonitorId;
use quaywatch_core::access::{Level, Resource};
use quaywatch_store::records::Window;
use quaywatch_web::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::monitors::One;
use super::window;
use crate::Api;
use crate::framework::{Call, Listed, Needs, Routes, Shown, Tag, docs};
use crate::wire::history::{CheckResult, Interval, LatencySummary, UptimeFigures};
use crate::wire::ids::Id;
use crate::wire::paging::{After, Limit, paging};
use crate::wire::time::{Seconds, Time};
use crate::wire::words::Status;

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Results);
    let look = Needs(Resource::Results, Level::Look);
    routes.get(
        "/monitors/{id}/results",
        look,
        results,
        docs("results_list", "List what checks saw")
            .about("The last day, newest first, unless said. A page may be short and still have a next one."),
    );
    routes.get(
        "/monitors/{id}/latency",
        look,
        latency,
        docs("latency_summary", "Sum up how long it took to answer")
            .about("The last day unless said, in buckets that fit a chart."),
    );
    routes.get(
        "/monitors/{id}/uptime",
        look,
        uptime,
        docs("uptime_read", "Show the four figures of uptime")
            .about("For `from` and `to`, or for each `window` that ends now; else for 1, 7, 30 and 90 days."),
    );
    routes.get(
        "/monitors/{id}/intervals",
        look,
        intervals_of_one,
        docs("intervals_of_monitor", "List when a monitor was not up, and why"),
    );
    routes.get(
        "/intervals",
        look,
        intervals,
        docs("intervals_list", "List when monitors were not up, and why").about(
            "Without `monitor`, time in which the server could not see is left out: it is the same for all.",
        )
        .answers(&[404]),
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ResultQuery {
    /// From then on; a day before `to` unless said.
    from: Option<Time>,
    /// Before then; now unless said.
    to: Option<Time>,
    /// Only from this location.
    #[schemars(length(min = 1, max = 64))]
    location: Option<String>,
    /// Only those that were not `ok`.
    #[serde(default)]
    failures: bool,
    /// Which first.
    #[serde(default)]
    order: Order,
    after: Option<After>,
    limit: Option<Limit>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
}

async fn results(call: Call<One, ResultQuery>) -> Result<Listed<CheckResult>, Problem> {
    let asked = call.query;
    let query = AppResultQuery {
        window: window(&call.api, asked.from, asked.to),
        location: asked.location,
        failures: asked.failures,
        newest_first: asked.order == Order::NewestFirst,
        paging: paging(asked.after, asked.limit),
    };
    let page = call.api.operations.list_results(&call.caller, call.path.id.0, &query).await?;
    Ok(Listed::of(page))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LatencyQuery {
    /// From then on; a day before `to` unless said.
    from: Option<Time>,
    /// Before then; now unless said.
    to: Option<Time>,
    /// How long a bucket is.
    bucket: Option<Seconds>,
    /// Only from this location.
    #[schemars(length(min = 1, max = 64))]
    location: Option<String>,
}

async fn latency(call: Call<One, LatencyQuery>) -> Result<Shown<LatencySummary>, Problem> {
    let asked = call.query;
    let query = AppLatencyQuery {
        window: window(&call.api, asked.from, asked.to),
        bucket: asked.bucket.map(|bucket| bucket.0),
        location: asked.location,
    };
    Ok(Shown(call.api.operations.summarise_latency(&call.caller, call.path.id.0, &query).await?.into()))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UptimeQuery {
    /// From then on.
    from: Option<Time>,
    /// Before then; now unless said.
    to: Option<Time>,
    /// Lengths of windows that end at `to`: `24h`, `30d`.
    #[serde(default)]
    #[schemars(length(max = 50))]
    window: Vec<Seconds>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct UptimeAnswer {
    /// One for each window that was asked about.
    items: Vec<UptimeFigures>,
}

const DAYS: [u64; 4] = [1, 7, 30, 90];

async fn uptime(call: Call<One, UptimeQuery>) -> Result<Shown<UptimeAnswer>, Problem> {
    let asked = call.query;
    let to = asked.to.map_or_else(|| call.api.clock.now(), |to| to.0);
    let mut windows: Vec<Window> = asked.window.iter().map(|w| Window { from: to - w.0, to }).collect();
    if let Some(Time(from)) = asked.from {
        windows.insert(0, Window { from, to });
    }
    if windows.is_empty() {
        let day = |days: u64| Window { from: to - std::time::Duration::from_secs(days * 86_400), to };
        windows = DAYS.map(day).to_vec();
    }
    let views = call.api.operations.read_uptime(&call.caller, call.path.id.0, &windows).await?;
    Ok(Shown(UptimeAnswer { items: views.into_iter().map(UptimeFigures::from).collect() }))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IntervalQuery {
    /// From then on; a day before `to` unless said.
    from: Option<Time>,
    /// Before then; now unless said.
    to: Option<Time>,
    /// Only these.
    #[serde(default)]
    status: Vec<Status>,
    after: Option<After>,
    limit: Option<Limit>,
}

async fn intervals_of_one(call: Call<One, IntervalQuery>) -> Result<Listed<Interval>, Problem> {
    let IntervalQuery { from, to, status, after, limit } = call.query;
    let asked = AllIntervalQuery { monitor: Some(call.path.id), from, to, status, after, limit };
    listed(&call.api, &call.caller, asked).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AllIntervalQuery {
    /// Only of this monitor.
    monitor: Option<Id<MonitorId>>,
    /// From then on; a day before `to` unless said.
    from: Option<Time>,
    /// Before then; now unless said.
    to: Option<Time>,
    /// Only these.
    #[serde(default)]
    status: Vec<Status>,
    after: Option<After>,
    limit: Option<Limit>,
}

async fn intervals(call: Call<(), AllIntervalQuery>) -> Result<Listed<Interval>, Problem> {
    listed(&call.api, &call.caller, call.query).await
}

async fn listed(api: &Api, caller: &Caller, asked: AllIntervalQuery) -> Result<Listed<Interval>, Problem> {
    let query = AppIntervalQuery {
        monitor: asked.monitor.map(|id| id.0),
        window: window(api, asked.from, asked.to),
        statuses: asked.status.into_iter().map(Into::into).collect(),
        paging: paging(asked.after, asked.limit),
    };
    Ok(Listed::of(api.operations.list_intervals(caller, &query).await?))
}
