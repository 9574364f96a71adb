//! What is known of models here: the catalog, and what the fleet measured and keeps apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use windlass_llm::{
    catalog::{Catalog, Day, Entries, Listings, Model},
    select::{Availability, Live, LiveFigures, State},
};
use windlass_shared::{
    model::Micros,
    store::{BreakerState, Gate, LiveRecord},
};

use crate::{
    context::Context,
    exit::{Done, Failure},
    output::say,
};

/// All of it.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) catalog: Catalog,
    fleet: Fleet,
    now: Micros,
    /// For how long a breaker stays open, as far as is known here.
    recovery: Duration,
}

/// What Redis knows.
#[derive(Default)]
struct Fleet {
    live: BTreeMap<(String, String), LiveRecord>,
    breakers: BTreeMap<String, BreakerState>,
    cooldowns: BTreeMap<String, (Micros, String)>,
}

impl Known {
    /// Reads it. Without Redis there are the catalog's figures alone.
    pub(crate) async fn read(context: &Context, offline: bool) -> Done<Self> {
        let mut known = Self { recovery: context.config.breaker.recovery, ..Self::default() };
        known.now = Micros(jiff::Timestamp::now().as_microsecond());
        if !offline {
            match context.store().await {
                Ok(store) => {
                    known.now = store.now().await?;
                    known.ask(&store.gate()).await?;
                }
                Err(Failure::Redis(error)) => say!(
                    "windlass: Redis cannot be used, so these are the figures of the catalog alone (--offline does not ask): {error}"
                ),
                Err(other) => return Err(other),
            }
        }
        known.add_file(context)?;
        Ok(known)
    }

    async fn ask(&mut self, gate: &Gate) -> Done {
        if let Some((at, json)) = gate.catalog().await? {
            match Listings::from_json(&json) {
                Ok(listings) => self.catalog.add_listings(&listings),
                Err(why) => say!("windlass: what providers listed at {at} cannot be read: {why}"),
            }
        }
        self.fleet = Fleet {
            live: gate.live().await?,
            breakers: gate.breakers().await?,
            cooldowns: gate.cooldowns().await?,
        };
        Ok(())
    }

    /// The file may be where the workers are.
    fn add_file(&mut self, context: &Context) -> Done {
        let Some(path) = &context.config.llm.catalog else { return Ok(()) };
        let origin = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let merged =
                    Entries::from_toml(&text, &origin).and_then(|entries| self.catalog.merge(entries));
                merged.map_err(|faults| Failure::Usage(faults.join("\n")))
            }
            Err(error) => {
                say!("windlass: the catalog {origin} cannot be read, and is left out: {error}");
                Ok(())
            }
        }
    }

    /// Names of providers that the catalog does not have.
    pub(super) fn check_providers(&self, names: &[String]) -> Done {
        let providers: BTreeSet<&str> = self.catalog.models().map(|model| model.provider.as_str()).collect();
        match names.iter().find(|name| !providers.contains(name.as_str())) {
            None => Ok(()),
            Some(name) => Err(Failure::Usage(format!(
                "--provider: no model of {name:?} is known; those of {} are",
                providers.into_iter().collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// The pause of a model, or of a key with which it is called: until when, what, why.
    fn pause(&self, model: &Model) -> Option<(Micros, &str, &str)> {
        let lasting = self
            .fleet
            .cooldowns
            .iter()
            .filter(|(name, (until, _))| *until > self.now && is_of(name, model, &self.catalog));
        lasting.map(|(name, (until, why))| (*until, name.as_str(), why.as_str())).max()
    }

    /// Some pause is of a key, and other keys of the provider may do.
    pub(super) fn has_pauses(&self) -> bool {
        self.fleet.cooldowns.values().any(|(until, _)| *until > self.now)
    }
}

/// Whether a pause concerns a model: that of the model itself (`PROVIDER/MODEL`), of it with a key
/// (`PROVIDER/KEY/MODEL`), or of a key (`PROVIDER/KEY`).
fn is_of(name: &str, model: &Model, catalog: &Catalog) -> bool {
    if catalog.get(name).is_some() {
        return name == model.id;
    }
    let rest = name.strip_prefix(&model.provider).and_then(|rest| rest.strip_prefix('/'));
    match rest.map(|rest| rest.split_once('/')) {
        None => false,
        Some(None) => true,
        Some(Some((_, of))) => of == model.name,
    }
}

impl Live for Known {
    fn of(&self, model: &str, category: Option<&str>) -> Option<LiveFigures> {
        let get = |category: &str| self.fleet.live.get(&(model.to_owned(), category.to_owned()));
        let record = category.and_then(get).or_else(|| get(""))?;
        Some(LiveFigures {
            calls: record.calls,
            success: if record.calls > 0.0 { record.successes / record.calls } else { 0.0 },
            latency: record.latency,
            score: (record.scored > 0.0).then_some(record.score),
            scored: record.scored,
            output_tokens: (record.output_tokens > 0.0).then_some(record.output_tokens),
        })
    }
}

impl Availability for Known {
    fn state(&self, model: &Model) -> State {
        if let Some((until, name, why)) = self.pause(model) {
            // What the provider asked for passes by itself; for the rest somebody should know why.
            return if ["rate_limit", "overloaded"].contains(&why) {
                State::Cooling { left: until.since(self.now) }
            } else {
                State::Unavailable { why: format!("{name} is left alone until {until} ({why})") }
            };
        }
        let breaker = self.fleet.breakers.get(&model.id).filter(|breaker| breaker.state == "open");
        let left = breaker.and_then(|breaker| {
            let open = self.now.since(breaker.opened_at?);
            self.recovery.checked_sub(open).filter(|left| !left.is_zero())
        });
        left.map_or(State::Usable, |left| State::BreakerOpen { left })
    }

    fn today(&self) -> Option<Day> {
        self.now.to_string().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros(1_790_000_000_000_000);

    fn known() -> Known {
        let toml = "[models.\"p/a\"]\ncontext = 1000\n[models.\"p/x/a\"]\ncontext = 1000\n[models.\"q/a\"]\ncontext = 1000\n";
        let mut catalog = Catalog::empty();
        catalog.merge(Entries::from_toml(toml, "test").unwrap()).unwrap();
        Known { catalog, now: NOW, recovery: Duration::from_mins(1), ..Known::default() }
    }

    fn states(known: &Known) -> Vec<State> {
        known.catalog.models().map(|model| known.state(model)).collect()
    }

    #[test]
    fn a_pause_concerns_the_models_that_it_names() {
        for (name, concerned) in [
            ("p/a", [true, false, false]),
            ("p/default", [true, true, false]),
            ("p/default/a", [true, false, false]),
            ("p/default/x/a", [false, true, false]),
            ("q/default", [false, false, true]),
            ("pq/default", [false, false, false]),
        ] {
            let mut known = known();
            known.fleet.cooldowns =
                [(name.to_owned(), (Micros(NOW.0 + 5_000_000), "rate_limit".into()))].into();
            let cooling = State::Cooling { left: Duration::from_secs(5) };
            let found: Vec<bool> = states(&known).iter().map(|state| *state == cooling).collect();
            assert_eq!(found, concerned, "{name}");
            known.fleet.cooldowns = [(name.to_owned(), (NOW, "rate_limit".into()))].into();
            assert!(states(&known).iter().all(|state| *state == State::Usable), "{name} is over");
        }
    }

    #[test]
    fn a_refused_key_says_so_and_an_open_breaker_how_long_it_stays() {
        let mut known = known();
        known.fleet.cooldowns =
            [("p/default".to_owned(), (Micros(NOW.0 + 1), "authentication".into()))].into();
        let State::Unavailable { why } = &states(&known)[0] else { panic!("it can be called") };
        assert!(why.contains("p/default") && why.contains("authentication"), "{why}");
        let breaker = |ago: i64| BreakerState {
            state: "open",
            failures: 5,
            opened_at: Some(Micros(NOW.0 - ago * 1_000_000)),
            opens: 1,
        };
        known.fleet.cooldowns.clear();
        known.fleet.breakers = [("q/a".to_owned(), breaker(20)), ("p/a".to_owned(), breaker(61))].into();
        let open = State::BreakerOpen { left: Duration::from_secs(40) };
        assert_eq!(states(&known), [State::Usable, State::Usable, open], "one may be tried again");
    }

    #[test]
    fn figures_of_a_category_go_before_those_of_all() {
        let record = |calls: f64| LiveRecord {
            at: NOW,
            calls,
            successes: calls / 2.0,
            latency: Duration::from_secs(1),
            scored: 0.0,
            score: 0.0,
            output_tokens: 0.0,
        };
        let mut known = known();
        let key = |category: &str| ("p/a".to_owned(), category.to_owned());
        known.fleet.live = [(key(""), record(10.0)), (key("docs"), record(4.0))].into();
        let calls = |category| known.of("p/a", category).map(|figures| figures.calls);
        assert_eq!(
            (calls(Some("docs")), calls(Some("other")), calls(None)),
            (Some(4.0), Some(10.0), Some(10.0))
        );
        let figures = known.of("p/a", None).unwrap();
        assert_eq!((figures.success, figures.score, figures.output_tokens), (0.5, None, None));
        assert_eq!(known.of("q/a", None), None);
    }
}
