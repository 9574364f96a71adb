//! A model that answers chats.

use std::{
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    Error, gguf, json::Constraint, llama::Llama, output::Output, sample::Sampler, vocabulary::Vocabulary,
};

/// The longest context that is offered: its cache takes 189 MB.
const MAX_CONTEXT: usize = 4096;
/// Tokens of a prompt that are read at once.
const PIECE: usize = 128;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Whoever set the chat up.
    System,
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said. Names of control tokens in it are text as any other.
    pub text: String,
}

/// A form that the answer must have.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// Any JSON value.
    Any,
    /// A JSON object.
    Object,
    /// What this JSON schema allows, as far as it can be followed while the answer is written: validate the answer.
    /// See the documentation of the crate.
    Schema(serde_json::Value),
}

/// How to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The longest answer, in tokens.
    pub max_tokens: usize,
    /// 0 takes the likeliest token each time; 1 draws as likely as the model says.
    pub temperature: f64,
    /// Draws only among the likeliest tokens that together have this share. 1 and above, 0 and below: all.
    pub top_p: Option<f64>,
    /// The same seed, prompt and options give the same answer.
    pub seed: u64,
    /// Texts that end the answer. They are not part of it.
    pub stop: Vec<String>,
    /// The answer is JSON.
    pub json: Option<Json>,
    /// Above 1, tokens that the answer's last 64 hold become less likely; 1 changes nothing.
    pub repeat_penalty: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_tokens: 512,
            temperature: 0.0,
            top_p: None,
            seed: 0,
            stop: Vec::new(),
            json: None,
            repeat_penalty: 1.0,
        }
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model was done, or a stop text was reached.
    Stop,
    /// The limit of tokens was reached, or the context is full. JSON is cut off then.
    Length,
    /// The caller wanted no more.
    Cancelled,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The answer: what was given to `on_token`, in one piece.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens of the prompt, those around its turns included.
    pub prompt_tokens: usize,
    /// Tokens of the answer, the one that ended it included.
    pub output_tokens: usize,
    /// Time until the first token was there; the whole time if there was none.
    pub first_token: Duration,
    /// The whole time.
    pub duration: Duration,
}

/// A model in memory. Any number of chats can be under way at the same time: they share the weights and the
/// processor's threads, and nothing else.
#[derive(Debug)]
pub struct Model {
    name: String,
    vocabulary: Vocabulary,
    network: Llama,
}

impl Model {
    /// Reads a GGUF file: a model of the SmolLM2 family, in any of GGUF's formats for weights, which become eight-bit
    /// ones in memory. Takes about half a second for one of 135 million weights.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let mut file = gguf::File::open(path)?;
        let name =
            file.text("general.name")?.or(path.file_stem().and_then(|stem| stem.to_str())).unwrap_or("model");
        let name = name.to_owned();
        let vocabulary = Vocabulary::read(&file)?;
        let network = Llama::read(&mut file, vocabulary.len(), MAX_CONTEXT)?;
        Ok(Self { name, vocabulary, network })
    }

    /// The tokens that it holds, prompt and answer together.
    pub fn context(&self) -> usize {
        self.network.context()
    }

    /// The name that the file gives the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many tokens `text` has, by itself.
    pub fn count(&self, text: &str) -> usize {
        self.vocabulary.encode(text).map_or(0, |tokens| tokens.len())
    }

    /// How many tokens a prompt of these turns has: what [`Answer::prompt_tokens`] will say.
    pub fn count_prompt(&self, turns: &[Turn]) -> usize {
        self.vocabulary.prompt(turns).map_or(0, |tokens| tokens.len())
    }

    /// Answers a chat. Blocks for as long as that takes, and uses all processors.
    ///
    /// `on_token` gets the answer as it grows, in whole characters. It is also called with an empty text, often while
    /// the prompt is read and at tokens that show nothing yet. When it breaks, the answer ends there as
    /// [`Finish::Cancelled`].
    pub fn chat(
        &self,
        turns: &[Turn],
        options: &Options,
        on_token: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Answer, Error> {
        if turns.is_empty() {
            return Err(Error::NoTurns);
        }
        let started = Instant::now();
        let constraint = options.json.as_ref().map(Constraint::new).transpose()?;
        let prompt = self.vocabulary.prompt(turns)?;
        if prompt.len() >= self.context() {
            return Err(Error::ContextLength { needed: prompt.len(), limit: self.context() });
        }
        let mut writing = Writing {
            model: self,
            constraint,
            sampler: Sampler::new(options),
            output: Output::new(&options.stop),
            tokens: Vec::new(),
            first_token: None,
            started,
        };
        let most = options.max_tokens.min(self.context() - prompt.len());
        let finish = writing.run(&prompt, most, on_token)?;
        let duration = started.elapsed();
        Ok(Answer {
            finish,
            prompt_tokens: prompt.len(),
            output_tokens: writing.tokens.len(),
            first_token: writing.first_token.unwrap_or(duration),
            duration,
            text: writing.output.into_text(),
        })
    }
}

/// An answer that is being written.
struct Writing<'a> {
    model: &'a Model,
    constraint: Option<Constraint>,
    sampler: Sampler,
    output: Output<'a>,
    tokens: Vec<u32>,
    first_token: Option<Duration>,
    started: Instant,
}

impl Writing<'_> {
    fn run(
        &mut self,
        prompt: &[u32],
        most: usize,
        on_token: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Finish, Error> {
        let network = &self.model.network;
        let mut cache = network.cache();
        let mut logits = Vec::new();
        for piece in prompt.chunks(PIECE) {
            match network.forward(piece, &mut cache, &mut || on_token("").is_continue())? {
                Some(next) => logits = next,
                None => return Ok(Finish::Cancelled),
            }
        }
        while self.tokens.len() < most {
            let token = self.next(logits)?;
            if self.is_over(token) {
                return Ok(self.finish(Finish::Stop, on_token));
            }
            if on_token(self.output.ready()).is_break() {
                return Ok(Finish::Cancelled);
            }
            logits = network.forward(&[token], &mut cache, &mut || true)?.unwrap_or_default();
        }
        Ok(self.finish(Finish::Length, on_token))
    }

    fn next(&mut self, logits: Vec<f32>) -> Result<u32, Error> {
        let (vocabulary, constraint) = (&self.model.vocabulary, self.constraint.as_ref());
        let fits = |token: u32| match constraint {
            None => true,
            Some(json) if vocabulary.ends_answer(token) => json.may_end(),
            Some(json) => json.allows(vocabulary.bytes(token)),
        };
        let token = self.sampler.choose(logits, &self.tokens, fits);
        let token = token.ok_or_else(|| Error::Inference("it found no token that may come next".into()))?;
        self.tokens.push(token);
        self.first_token.get_or_insert_with(|| self.started.elapsed());
        Ok(token)
    }

    /// Adds `token` to the answer; true if it ends it.
    fn is_over(&mut self, token: u32) -> bool {
        let vocabulary = &self.model.vocabulary;
        if vocabulary.ends_answer(token) {
            return true;
        }
        let bytes = vocabulary.bytes(token);
        let stopped = self.output.push(bytes);
        let complete = self.constraint.as_mut().is_some_and(|json| {
            json.push(bytes);
            json.must_end()
        });
        stopped || complete
    }

    fn finish(&mut self, finish: Finish, on_token: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Finish {
        let rest = self.output.rest();
        if !rest.is_empty() && on_token(rest).is_break() { Finish::Cancelled } else { finish }
    }
}
