//! Answers to requests that mean the same. Off unless a type or the configuration wants it.
//!
//! Likeness alone is not enough: "in 3 bullets" and "in 5 bullets" are as like as any paraphrase. So everything but the
//! last message must be the same, and the numbers, names, paths and quotations of that message, too. Compared are all
//! entries of the tenant, in plain Rust: some thousand vectors take less than a millisecond.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use serde_json::{Value, json};
use tokio::sync::Mutex;
use windlass_llm::{ChatRequest, Content, Role};
use windlass_shared::{
    config::LlmSettings,
    store::{Gate, SemanticEntry},
};

use super::hash;

/// A longer text is not compared: what it means does not fit into one vector.
const LONGEST: usize = 8000;
/// Entries read at a time.
const PAGE: usize = 500;

/// What was found.
pub(crate) struct Found {
    pub(crate) answer: String,
    pub(crate) name: String,
    pub(crate) likeness: f32,
}

/// A tenant's entries as far as they were read.
#[derive(Default)]
struct Realm {
    entries: Vec<SemanticEntry>,
    last: String,
}

/// The semantic cache of a node.
pub(crate) struct SemanticCache {
    threshold: f32,
    most: usize,
    realms: Mutex<HashMap<String, Arc<Mutex<Realm>>>>,
}

/// Tenants whose entries are kept at the same time.
const REALMS: usize = 100;

impl SemanticCache {
    pub(crate) fn new(settings: &LlmSettings) -> Self {
        Self {
            threshold: settings.semantic_threshold as f32,
            most: settings.semantic_entries,
            realms: Mutex::default(),
        }
    }

    /// An answer to a request that means the same.
    pub(crate) async fn find(&self, gate: &Gate, realm: &str, question: &Question) -> Option<Found> {
        let (answer, likeness) = {
            let realm_of = self.realm(realm).await;
            let mut entries = realm_of.lock().await;
            entries.read(gate, realm, self.most).await;
            let best = entries.best(&question.vector, &question.guard)?;
            (best.0.to_owned(), best.1)
        };
        if likeness < self.threshold {
            return None;
        }
        let text = gate.cached(&answer).await.ok()??;
        Some(Found { answer: text, name: answer, likeness })
    }

    /// Keeps a request whose answer is in the cache as `name`.
    pub(crate) async fn keep(&self, gate: &Gate, realm: &str, question: &Question, name: &str) {
        let Question { vector, guard } = question;
        if let Err(error) = gate.add_semantic(realm, vector, guard, name, self.most).await {
            tracing::warn!(%error, "a request could not be kept for comparison");
        }
    }

    async fn realm(&self, name: &str) -> Arc<Mutex<Realm>> {
        let mut realms = self.realms.lock().await;
        if realms.len() >= REALMS && !realms.contains_key(name) {
            realms.clear();
        }
        Arc::clone(realms.entry(name.to_owned()).or_default())
    }
}

impl Realm {
    async fn read(&mut self, gate: &Gate, realm: &str, most: usize) {
        loop {
            let Ok(page) = gate.semantic_after(realm, &self.last, PAGE).await else { return };
            let full = page.len() == PAGE;
            if let Some(last) = page.last() {
                self.last.clone_from(&last.id);
            }
            self.entries.extend(page);
            if !full {
                break;
            }
        }
        let over = self.entries.len().saturating_sub(most);
        self.entries.drain(..over);
    }

    fn best(&self, vector: &[f32], guard: &str) -> Option<(&str, f32)> {
        let same = self.entries.iter().filter(|e| e.guard == guard && e.vector.len() == vector.len());
        same.map(|entry| (entry.answer.as_str(), dot(&entry.vector, vector)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// A request as it is compared.
pub(crate) struct Question {
    vector: Vec<f32>,
    guard: String,
}

impl Question {
    pub(crate) fn new(subject: Subject, vector: Vec<f32>, gate: &Gate) -> Self {
        Self { vector: normalised(vector), guard: gate.hashed(subject.guard) }
    }
}

/// What of a request is compared.
pub(crate) struct Subject {
    pub(crate) text: String,
    /// A hash of everything that must be equal.
    guard: String,
}

impl Subject {
    pub(crate) fn of(route: &Value, request: &ChatRequest) -> Option<Self> {
        if !request.tools.is_empty() {
            return None;
        }
        let mut rest = request.clone();
        let last = rest.messages.pop()?;
        let Content::Text(text) = last.content else { return None };
        if last.role != Role::User || text.trim().is_empty() || text.len() > LONGEST {
            return None;
        }
        rest.model.clear();
        let whole = json!({ "route": route, "rest": rest, "exact": exact_parts(&text) });
        Some(Self { guard: hash::of_value(&whole), text })
    }
}

/// Numbers, identifiers, paths and quotations: what a paraphrase keeps.
fn exact_parts(text: &str) -> BTreeSet<String> {
    let mut parts = BTreeSet::new();
    for quote in ['"', '\'', '`'] {
        // Every second piece stands between two quotation marks; an apostrophe within a word is none.
        let pieces: Vec<&str> = text.split(quote).collect();
        if pieces.len() % 2 == 1 {
            parts.extend(pieces.iter().skip(1).step_by(2).map(|piece| format!("{quote}{piece}")));
        }
    }
    let edge = |c: char| !c.is_alphanumeric() && c != '_' && c != '/' && c != '$' && c != '#' && c != '@';
    for word in text.split_whitespace().map(|word| word.trim_matches(edge)) {
        let inner: Vec<char> = word.chars().collect();
        let digits = inner.iter().any(char::is_ascii_digit);
        let marks = inner.iter().any(|c| "_/\\.:#@$=<>(){}[]*+".contains(*c));
        let humps = inner.iter().skip(1).any(|c| c.is_uppercase());
        if digits || marks || humps {
            parts.insert(word.to_owned());
        }
    }
    // Words that turn the meaning round are as like as any.
    for word in text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase) {
        if TURNS.contains(&word.as_str()) || NUMBERS.contains(&word.as_str()) {
            parts.insert(word);
        }
    }
    parts
}

const TURNS: [&str; 14] = [
    "not", "no", "never", "without", "except", "only", "all", "none", "any", "before", "after", "first",
    "last", "one",
];

const NUMBERS: [&str; 12] =
    ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "dozen", "hundred", "thousand"];

fn normalised(mut vector: Vec<f32>) -> Vec<f32> {
    let length = dot(&vector, &vector).sqrt();
    if length > 0.0 {
        for number in &mut vector {
            *number /= length;
        }
    }
    vector
}

/// Sixteen sums side by side, so that the compiler uses wide registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (left, right) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = left.remainder().iter().zip(right.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in left.zip(right) {
        for lane in 0..16 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use windlass_llm::Message;

    use super::*;

    fn request(text: &str) -> ChatRequest {
        ChatRequest { messages: vec![Message::text(Role::User, text)], ..ChatRequest::default() }
    }

    fn guard(text: &str) -> String {
        Subject::of(&Value::Null, &request(text)).unwrap().guard
    }

    #[test]
    fn what_a_paraphrase_keeps_must_be_equal() {
        assert_eq!(
            guard("Summarise the text in 3 bullets"),
            guard("Give a summary in 3 bullets of the text")
        );
        for (one, other) in [
            ("Summarise in 3 bullets", "Summarise in 5 bullets"),
            ("Summarise in three bullets", "Summarise in five bullets"),
            ("delete user_a", "delete user_b"),
            ("tests for src/auth.py", "tests for src/billing.py"),
            ("say \"yes\"", "say \"no\""),
            ("explain parseInt", "explain parseFloat"),
            ("do it", "do not do it"),
        ] {
            assert_ne!(guard(one), guard(other), "{one} / {other}");
        }
    }

    #[test]
    fn everything_but_the_last_message_must_be_equal() {
        let with = |system: &str| {
            let mut request = request("hi");
            request.messages.insert(0, Message::text(Role::System, system));
            Subject::of(&Value::Null, &request).unwrap().guard
        };
        assert_ne!(with("Be brief."), with("Be long."));
        let warm = ChatRequest { temperature: Some(1.0), ..request("hi") };
        assert_ne!(Subject::of(&Value::Null, &warm).unwrap().guard, guard("hi"));
    }

    #[test]
    fn who_may_answer_must_be_equal() {
        let of = |route: Value| Subject::of(&route, &request("hi")).unwrap().guard;
        assert_ne!(of(json!(["a/small"])), of(json!(["b/large"])));
    }

    #[test]
    fn likeness_is_the_cosine() {
        let long: Vec<f32> = (0..40).map(|i| i as f32).collect();
        let plain: f32 = long.iter().map(|x| x * x).sum();
        assert!((dot(&long, &long) - plain).abs() < 0.1);
        let (a, b) = (normalised(vec![3.0, 4.0]), normalised(vec![4.0, 3.0]));
        assert!((dot(&a, &b) - 0.96).abs() < 1e-6);
    }
}
