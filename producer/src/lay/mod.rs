//! Laying down the files that tasks produced.
//!
//! Everything is staged first, in a folder beside its place ([`place`]), and then moved: either all files of the results
//! are laid down or, where one stands in the way of another, none. A result is a model's word, so its paths are hostile
//! until they are checked ([`plan`]).

mod place;
mod plan;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use windlass_shared::model::{State, TaskView};

use self::{
    place::{Place, Standing},
    plan::{Clash, Plan},
};
use crate::{
    cli,
    exit::{Done, Failure},
    output::say,
};

/// So many refused files are named; the others are counted.
const NAMED: usize = 50;

/// A path, and the number under which its file is staged.
type Move = (String, u64);
/// A path, and what is in its way.
type Blocked = (String, &'static str);

/// Lays down the files of completed tasks below a folder.
pub(crate) struct Writer {
    place: Place,
    plan: Plan,
    by_task: bool,
    force: bool,
    /// Paths that are not taken whatever the flags say.
    unsafe_paths: Vec<String>,
    /// Files that were left as they are.
    in_the_way: Vec<String>,
    written: u64,
    unchanged: u64,
    tasks: u64,
}

/// The part of a result that is laid down.
#[derive(Deserialize)]
struct Produced {
    #[serde(default)]
    files: BTreeMap<String, Value>,
}

impl Writer {
    /// A writer as the flags want it, if they want one. Makes the folder.
    pub(crate) fn open(args: &cli::LayDown) -> Done<Option<Self>> {
        let Some(root) = &args.root else { return Ok(None) };
        let place = Place::open(root).map_err(|error| {
            Failure::NotDone(format!("--write: {} cannot be used: {error}", root.display()))
        })?;
        Ok(Some(Self {
            place,
            plan: Plan::default(),
            by_task: args.by_task,
            force: args.force,
            unsafe_paths: Vec::new(),
            in_the_way: Vec::new(),
            written: 0,
            unchanged: 0,
            tasks: 0,
        }))
    }

    /// Stages the files of a task, if it is completed and has any.
    pub(crate) fn add(&mut self, task: &TaskView) -> Done {
        let result = task.result.as_ref().filter(|_| task.state == Some(State::Completed));
        let produced = result.and_then(|result| serde_json::from_str::<Produced>(result.get()).ok());
        let files = produced.map(|produced| produced.files).unwrap_or_default();
        if files.is_empty() {
            return Ok(());
        }
        let below = if self.by_task { format!("{}/", task.reference) } else { String::new() };
        match texts(&below, &files) {
            Ok(files) => {
                self.tasks += 1;
                files.into_iter().try_for_each(|(path, text)| self.stage(&task.reference, path, text))
            }
            // A task is laid down whole or not at all.
            Err(why) => {
                self.unsafe_paths.push(format!("{}: {why}; none of its files is written", task.reference));
                Ok(())
            }
        }
    }

    fn stage(&mut self, task: &str, path: String, text: &str) -> Done {
        match self.plan.clash(task, &path) {
            None => {}
            Some(Clash::Same(number)) => {
                let same = self.place.holds(number, &path, text);
                if !same.map_err(|error| cannot(&path, &error))? {
                    let other = self.plan.task(&path);
                    self.in_the_way.push(format!("{path}: {task} and {other} give it other content"));
                }
                return Ok(());
            }
            Some(Clash::Folder(other)) => {
                self.in_the_way.push(format!("{path}: {task} wants a file where {other} wants a folder"));
                return Ok(());
            }
        }
        let number = self.place.stage(text).map_err(|error| cannot(&path, &error))?;
        self.plan.add(task, path, number);
        Ok(())
    }

    /// Moves what is staged into its place, if nothing stands in the way of any of it.
    fn commit(&mut self) -> Done {
        let (moves, blocked) = self.sort_out()?;
        self.in_the_way.extend(blocked.into_iter().map(|(path, why)| format!("{path}: {why}")));
        if self.in_the_way.is_empty() { self.put(moves) } else { Ok(()) }
    }

    /// The same while more is to come: what something stands in the way of is left out.
    pub(crate) fn commit_meanwhile(&mut self) -> Done {
        let (moves, blocked) = self.sort_out()?;
        for (path, why) in blocked {
            self.plan.forget(&path);
            self.in_the_way.push(format!("{path}: {why}"));
        }
        self.put(moves)
    }

    /// Of what is staged, what can be moved, and what cannot and why. What is in its place already is neither.
    fn sort_out(&mut self) -> Done<(Vec<Move>, Vec<Blocked>)> {
        let staged: Vec<(String, u64, bool)> = self.plan.staged().collect();
        let (mut moves, mut blocked) = (Vec::new(), Vec::new());
        for (path, number, ours) in staged {
            match self.place.look(number, &path).map_err(|error| cannot(&path, &error))? {
                Standing::Nothing => moves.push((path, number)),
                Standing::Same => {
                    self.unchanged += 1;
                    self.plan.done(&path);
                }
                Standing::Other if ours || self.force => moves.push((path, number)),
                Standing::Other => blocked.push((path, "it is there with other content")),
                Standing::Blocked(why) => blocked.push((path, why)),
            }
        }
        Ok((moves, blocked))
    }

    fn put(&mut self, moves: Vec<Move>) -> Done {
        for (path, number) in moves {
            self.place.put(number, &path).map_err(|error| cannot(&path, &error))?;
            self.plan.done(&path);
            self.written += 1;
        }
        Ok(())
    }

    /// Commits, tells what was done, and fails if something was refused.
    pub(crate) fn finish(mut self) -> Done {
        self.commit()?;
        self.tell();
        match (self.unsafe_paths.len(), self.in_the_way.len()) {
            (0, 0) => Ok(()),
            (skipped, 0) => Err(Failure::NotDone(format!(
                "the files of {skipped} tasks are not safe to write: look at them with `windlass results`"
            ))),
            (_, blocked) => Err(Failure::NotDone(format!(
                "{blocked} files are in the way, and were kept: --write-by-task gives each task a folder of its own, \
                 --force replaces files that are there"
            ))),
        }
    }

    /// Says what was done so far, and what was not.
    pub(crate) fn tell(&self) {
        let unchanged = match self.unchanged {
            0 => String::new(),
            n => format!("; {n} were there already"),
        };
        say!("wrote {} files of {} tasks{unchanged}", self.written, self.tasks);
        let refused = self.unsafe_paths.len() + self.in_the_way.len();
        for line in self.unsafe_paths.iter().chain(&self.in_the_way).take(NAMED) {
            say!("windlass: {line}");
        }
        if refused > NAMED {
            say!("windlass: and {} more", refused - NAMED);
        }
    }
}

fn cannot(path: &str, error: &std::io::Error) -> Failure {
    Failure::NotDone(format!("--write: {path} cannot be written: {error}"))
}

/// The files with their whole paths, if all of them may be written.
fn texts<'a>(below: &str, files: &'a BTreeMap<String, Value>) -> Result<Vec<(String, &'a str)>, String> {
    let mut own = Plan::default();
    let mut one = |(name, value): (&String, &'a Value)| {
        let path = plan::relative(name)?;
        let text = value.as_str().ok_or_else(|| format!("the file {path:?} is no text"))?;
        if own.clash("", &path).is_some() {
            return Err(format!("the path {path:?} stands in the way of another of its files"));
        }
        own.add("itself", path.clone(), 0);
        Ok((format!("{below}{path}"), text))
    };
    files.iter().map(&mut one).collect()
}

#[cfg(test)]
mod tests;
