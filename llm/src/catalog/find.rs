//! Names to models.
//!
//! A name is tried in this order; the first step that finds a model decides:
//!
//! 1. an id;
//! 2. a model's name or alias, with or without its provider before it;
//! 3. the same without regard to case, to `.`, `_` and `-`, and to what stands before the last `/` of a name;
//! 4. the same with versions: `NAME-latest` and `NAME:latest` are NAME; `NAME-2026-01-01` is that version of NAME,
//!    asked of the provider under this very name; NAME is its newest version in the catalog.
//!
//! Where several providers have a model of the name, the first of the given providers wins, then the order of ids.

use std::cmp::Reverse;

use super::{Catalog, Model};

/// How many near names an error gives.
const NEAREST: usize = 3;

/// Longest name that is compared with others.
const MAX_ASKED: usize = 120;

/// No model has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The name, shortened if it is very long.
    pub asked: String,
    /// Ids of models whose names are like it, the nearest first.
    pub nearest: Vec<String>,
}

impl std::error::Error for Unknown {}

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no model is called {:?}; ", self.asked)?;
        match self.nearest.as_slice() {
            [] => f.write_str("none in the catalog has a name like it, so describe it in a catalog file"),
            names => write!(f, "did you mean {}?", names.join(" or ")),
        }
    }
}

/// A model, and what to call it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved<'a> {
    /// The model.
    pub model: &'a Model,
    /// The name to send to the provider: the model's own, or the version of it that was asked for.
    pub name: String,
}

impl Catalog {
    /// The model that is meant by a name.
    pub fn find(&self, name: &str) -> Result<&Model, Unknown> {
        self.find_among(name, &[])
    }

    /// The same; where several providers have it, the first of `providers` wins.
    pub fn find_among(&self, name: &str, providers: &[String]) -> Result<&Model, Unknown> {
        self.resolve(name, providers).map(|resolved| resolved.model)
    }

    /// The same, with the name under which to ask the provider.
    pub fn resolve(&self, asked: &str, providers: &[String]) -> Result<Resolved<'_>, Unknown> {
        let found = self.meant(asked)?;
        let best = found.into_iter().min_by_key(|found| preference(found.model, providers));
        best.ok_or_else(|| self.unknown(asked))
    }

    /// All models that may be meant by a name: one for each provider that has it, or more by its versions.
    pub fn find_all(&self, name: &str) -> Result<Vec<&Model>, Unknown> {
        Ok(self.meant(name)?.into_iter().map(|found| found.model).collect())
    }

    /// What the first step finds that finds anything; never empty.
    fn meant(&self, asked: &str) -> Result<Vec<Resolved<'_>>, Unknown> {
        let asked = asked.trim();
        if asked.len() > MAX_ASKED * 4 {
            return Err(self.unknown(asked));
        }
        if let Some(model) = self.models.get(asked) {
            return Ok(vec![Resolved { model, name: model.name.clone() }]);
        }
        for step in [exact, alike, versioned] {
            let found = self.models.values().filter_map(|model| {
                let name = step(model, asked)?;
                Some(Resolved { model, name })
            });
            let found: Vec<_> = found.collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Err(self.unknown(asked))
    }

    fn unknown(&self, asked: &str) -> Unknown {
        let shown: String = asked.chars().take(MAX_ASKED).collect();
        let folded = fold(&shown);
        let mut near: Vec<(u32, &str)> = self
            .models
            .values()
            .filter_map(|model| {
                Some((names(model).filter_map(|name| likeness(&folded, &fold(name))).min()?, &*model.id))
            })
            .collect();
        near.sort_unstable();
        Unknown {
            asked: shown,
            nearest: near.into_iter().take(NEAREST).map(|(_, id)| id.to_owned()).collect(),
        }
    }
}

/// Smaller is better: the provider's place in the list, the newest version, the id.
fn preference<'a>(model: &'a Model, providers: &[String]) -> (usize, Reverse<Option<&'a str>>, &'a str) {
    let place = providers.iter().position(|provider| *provider == model.provider);
    (place.unwrap_or(usize::MAX), Reverse(version(&model.name).map(|(_, version)| version)), &model.id)
}

/// All that a model is called.
fn names(model: &Model) -> impl Iterator<Item = &str> {
    let last = model.name.rsplit('/').next();
    model.aliases.iter().map(String::as_str).chain([&*model.id, &*model.name]).chain(last)
}

/// What was asked for, without the model's provider before it.
fn within<'a>(model: &Model, asked: &'a str) -> &'a str {
    asked.strip_prefix(model.provider.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(asked)
}

fn exact(model: &Model, asked: &str) -> Option<String> {
    let hit = |asked: &str| model.name == asked || model.aliases.iter().any(|alias| alias == asked);
    (hit(asked) || hit(within(model, asked))).then(|| model.name.clone())
}

fn alike(model: &Model, asked: &str) -> Option<String> {
    let (full, rest) = (fold(asked), fold(within(model, asked)));
    names(model).map(fold).any(|name| name == full || name == rest).then(|| model.name.clone())
}

fn versioned(model: &Model, asked: &str) -> Option<String> {
    let rest = within(model, asked);
    let latest = |name: &str| {
        let base = ["-latest", ":latest", "@latest"].iter().find_map(|end| name.strip_suffix(end));
        base.map(str::to_owned)
    };
    if let Some(base) = latest(&rest.to_lowercase()) {
        return alike(model, &base).or_else(|| newest_of(model, &base));
    }
    if let Some((base, _)) = version(rest) {
        let last = model.name.rsplit('/').next().unwrap_or(&model.name);
        let named = [&*model.name, last].into_iter().any(|name| fold(name) == fold(base));
        return named.then(|| format!("{}{}", model.name, &rest[base.len()..]));
    }
    newest_of(model, rest)
}

/// The model's own name, if it is a version of `base`.
fn newest_of(model: &Model, base: &str) -> Option<String> {
    let last = model.name.rsplit('/').next();
    let mut bases = last.into_iter().chain([&*model.name]).filter_map(version).map(|(base, _)| fold(base));
    let asked = fold(base);
    bases.any(|base| base == asked).then(|| model.name.clone())
}

/// A name and the version at its end: `-2026-01-01`, `-20260101`, `-03-2026`, `-0613`, `@20260101`.
pub(super) fn version(name: &str) -> Option<(&str, &str)> {
    let (last, c) = name.char_indices().rev().find(|(_, c)| !(c.is_ascii_digit() || *c == '-'))?;
    let at = last + c.len_utf8();
    // From the first separator on: a digit may end the name itself, as in `gpt-5-2025-08-07`.
    let tail = &name[at..];
    let starts = tail.match_indices('-').map(|(start, _)| start);
    let starts = starts.chain(name[..at].ends_with('@').then_some(0));
    let mut candidates = starts.filter_map(|start| {
        let version = tail[start..].trim_start_matches('-');
        let base = name[..at + start].trim_end_matches(['@', '-']);
        (is_version(version) && !base.is_empty()).then_some((base, version))
    });
    candidates.next()
}

fn is_version(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    matches!(lengths.as_slice(), [4, 2, 2] | [2, 4] | [8 | 4])
}

/// The name without what people write one way or the other.
fn fold(name: &str) -> String {
    name.trim().to_lowercase().replace(['.', '_', ' '], "-")
}

/// How unlike two names are, in thousandths; nothing if they are not alike.
fn likeness(asked: &str, name: &str) -> Option<u32> {
    let longest = asked.chars().count().max(name.chars().count()).max(1);
    if (asked.len() >= 3 && name.contains(asked)) || (name.len() >= 3 && asked.contains(name)) {
        return Some(100 + (asked.len().abs_diff(name.len()) * 100 / longest) as u32);
    }
    let distance = strsim::damerau_levenshtein(asked, name) * 1000 / longest;
    (distance <= 450).then_some(distance as u32)
}
