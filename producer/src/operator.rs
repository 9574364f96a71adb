//! The person behind a command: what they do to the fleet is noted before it is done, and how it ended afterwards.

use std::future::Future;

use windlass_shared::model::NewAction;

use crate::{
    cli::{
        BudgetsCommand, Command, ModelsCommand, NodeVerb, ObjectsCommand, QueueSet, QueuesCommand,
        ReviewCommand,
    },
    context::Context,
    exit::{self, Done},
};

/// What an action names, and what else was said.
type Said = (&'static str, Vec<String>, Vec<(&'static str, String)>);

/// Runs `work`. If it acts on the fleet, that stands in the operators' log before Redis is asked for anything else.
pub(crate) async fn noted(context: &Context, said: Option<Said>, work: impl Future<Output = Done>) -> Done {
    if let Some((action, on, with)) = said {
        let with = with.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        context.acts(NewAction { by: name(context), action: action.to_owned(), on, with });
    }
    let done = work.await;
    context.note_end(exit::code(&done)).await;
    done
}

/// Who acts: what the setting says, or user and machine.
pub(crate) fn name(context: &Context) -> String {
    context.config.operator.clone().unwrap_or_else(|| {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        format!("{}@{host}", user())
    })
}

/// The user's name, or number where there is no name.
pub(crate) fn user() -> String {
    let name = ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    let name = name.into_iter().find(|name| !name.trim().is_empty());
    name.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}

/// What a command does to the fleet; none for those that look, submit, or touch nothing but this machine.
pub(crate) fn said(command: &Command, context: &Context) -> Option<Said> {
    let tasks = |texts: &[String]| match context.references(texts) {
        Ok(references) => references.iter().map(ToString::to_string).collect(),
        Err(_) => texts.to_vec(), // the command itself says what is wrong with them
    };
    let queue = || context.named_queue().map(ToString::to_string).into_iter().collect::<Vec<_>>();
    Some(match command {
        Command::Cancel(ids) => ("cancel", tasks(&ids.all()), vec![]),
        Command::Retry(retry) => match &retry.batch {
            Some(batch) => ("retry", vec![format!("batch:{batch}")], vec![]),
            None if retry.tasks.is_empty() => ("retry", queue(), vec![("state", "failed".to_owned())]),
            None => ("retry", tasks(&retry.tasks), vec![]),
        },
        Command::Priority(args) => {
            let (priority, ids) = args.words.split_last()?;
            ("priority", tasks(ids), vec![("priority", priority.clone())])
        }
        Command::Purge(args) => ("purge", queue(), vec![("state", args.state.clone())]),
        Command::Queues(queues) => match &queues.command {
            Some(QueuesCommand::Set(set)) => ("queues set", vec![set.name.clone()], settings(set)),
            None => return None,
        },
        Command::Pause(queue) => ("pause", vec![queue.name.clone()], vec![]),
        Command::Resume(queue) => ("resume", vec![queue.name.clone()], vec![]),
        Command::Node(node) => {
            let (action, node) = match &node.command {
                NodeVerb::Quiet(arg) => ("node quiet", &arg.node),
                NodeVerb::Drain(arg) => ("node drain", &arg.node),
                NodeVerb::Resume(arg) => ("node resume", &arg.node),
                NodeVerb::Stop(arg) => ("node stop", &arg.node),
            };
            (action, vec![node.clone()], vec![])
        }
        Command::Budgets(budgets) => match &budgets.command {
            Some(BudgetsCommand::Set(set)) => (
                "budgets set",
                vec![set.scope.clone()],
                vec![
                    ("limit", set.limit.clone()),
                    ("window", format!("{:?}", set.window).to_lowercase()),
                    ("on-limit", format!("{:?}", set.on_limit).to_lowercase()),
                ],
            ),
            Some(BudgetsCommand::Remove(remove)) => ("budgets remove", remove.scopes.clone(), vec![]),
            None => return None,
        },
        Command::Models(models) => match &models.command {
            ModelsCommand::Reset(reset) => ("models reset", reset.names.clone(), vec![]),
            ModelsCommand::List(_) | ModelsCommand::Select(_) => return None,
        },
        Command::Review(review) => return reviewed(&review.command, tasks),
        Command::Doctor(doctor) if doctor.repair && doctor.yes => ("doctor --repair", vec![], vec![]),
        Command::Export(export) => {
            let queues =
                if export.all { vec!["(all)".to_owned()] } else { [export.queues.clone(), queue()].concat() };
            (
                "export",
                queues,
                vec![("file", export.file.display().to_string()), ("pause", export.pause.to_string())],
            )
        }
        Command::Import(import) => ("import", vec![import.file.display().to_string()], vec![]),
        Command::Objects(objects) => match &objects.command {
            ObjectsCommand::Sweep { older_than, delete: true } => {
                ("objects sweep", vec![], vec![("older-than", older_than.clone())])
            }
            ObjectsCommand::Sweep { .. } => return None,
        },
        // A new command must say here whether it acts. `top` notes each thing that is done in it by itself.
        Command::Submit(_)
        | Command::Status(_)
        | Command::Wait(_)
        | Command::Results(_)
        | Command::Tasks(_)
        | Command::Nodes(_)
        | Command::Top(_)
        | Command::Events(_)
        | Command::Audit(_)
        | Command::Metrics(_)
        | Command::SelectModel(_)
        | Command::Keys(_)
        | Command::Serve(_)
        | Command::Tokens(_)
        | Command::Doctor(_)
        | Command::Dev(_)
        | Command::Scripted(_)
        | Command::Config
        | Command::Completions { .. }
        | Command::Man
        | Command::Reference { .. }
        | Command::DieWithParent { .. } => return None,
    })
}

/// What a decision on drafts does.
fn reviewed(command: &ReviewCommand, tasks: impl Fn(&[String]) -> Vec<String>) -> Option<Said> {
    Some(match command {
        ReviewCommand::Approve(decide) => {
            ("review approve", tasks(&decide.tasks), by(decide.signature.by.as_ref()))
        }
        ReviewCommand::Reject(decide) => {
            ("review reject", tasks(&decide.tasks), by(decide.signature.by.as_ref()))
        }
        ReviewCommand::Edit(edit) => {
            ("review edit", tasks(std::slice::from_ref(&edit.task)), by(edit.signature.by.as_ref()))
        }
        ReviewCommand::List(_) | ReviewCommand::Show(_) => return None,
    })
}

/// Who signs, if that was said.
fn by(name: Option<&String>) -> Vec<(&'static str, String)> {
    name.map(|name| ("by", name.clone())).into_iter().collect()
}

/// The settings that were given.
fn settings(set: &QueueSet) -> Vec<(&'static str, String)> {
    let partitions = set.partitions.map(|count| count.to_string());
    let given = [
        ("max-length", &set.max_length),
        ("concurrency", &set.concurrency),
        ("key-concurrency", &set.key_concurrency),
        ("retention", &set.retention),
        ("dead-retention", &set.dead_retention),
        ("events", &set.events),
        ("partitions", &partitions),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
}
