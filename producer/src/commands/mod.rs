//! One file a command, or a family of them.

pub(crate) mod audit;
pub(crate) mod budgets;
pub(crate) mod doctor;
mod events;
mod export;
mod import;
pub(crate) mod keys;
pub(crate) mod metrics;
pub(crate) mod models;
mod nodes;
mod objects;
pub(crate) mod operate;
pub(crate) mod queues;
mod results;
pub(crate) mod review;
mod scripted;
pub(crate) mod search;
mod submit;
pub(crate) mod tasks;
mod tokens;
mod wait;

pub(crate) use self::{
    budgets::set_for_batch as set_budget_of_batch,
    nodes::tell_live,
    queues::set_paused,
    results::lay_down,
    scripted::load as load_scenario,
    submit::{budget, from_flags, inherited},
    wait::{batch as wait_for_batch, report_batch},
};

use clap::CommandFactory;
use windlass_shared::config::{Who, reference_markdown};

use crate::{
    cli::{self, Cli, Command, KeysCommand},
    context::Context,
    dev,
    exit::{Done, Failure},
    operator,
    output::{self, Format},
    serve, top, traced,
};

/// Runs the command that was typed.
pub(crate) async fn run(cli: Cli) -> Done {
    // What needs neither configuration nor Redis.
    match cli.command {
        Command::Completions { shell } => return completions(shell),
        Command::Man => return man(),
        Command::Reference { page } => return reference(&page),
        Command::Scripted(args) => return scripted::run(args).await,
        Command::Keys(cli::Keys { command: KeysCommand::Generate { id } }) => return keys::generate(id),
        Command::DieWithParent { parent, argv } => return Err(dev::child::die_with_parent(parent, &argv)),
        _ => {}
    }
    let flag = match &cli.command {
        Command::Submit(args) => {
            args.durability.clone().map(|level| ("redis.durability", "--durability", level))
        }
        Command::Serve(args) => args.listen.clone().map(|address| ("serve.listen", "--listen", address)),
        _ => None,
    };
    let mut context = Context::new(&cli.global, flag.into_iter().collect())?;
    if let Command::Serve(args) = cli.command {
        return Box::pin(serve::run(context, args)).await;
    }
    let telemetry = traced::begin(&cli.command, &mut context);
    let said = operator::said(&cli.command, &context);
    let outcome = Box::pin(operator::noted(&context, said, run_with(&context, cli))).await;
    if let Some(telemetry) = telemetry {
        traced::end(telemetry, &context, &outcome).await;
    }
    outcome
}

async fn run_with(context: &Context, cli: Cli) -> Done {
    match cli.command {
        Command::Submit(args) => submit::run(context, *args).await,
        Command::Status(ids) => tasks::status(context, &ids.all()).await,
        Command::Wait(args) => wait::run(context, args).await,
        Command::Results(args) => results::run(context, args).await,
        Command::Tasks(args) => tasks::list(context, args).await,
        Command::Cancel(ids) => operate::cancel(context, &ids.all()).await,
        Command::Retry(args) => operate::retry(context, args).await,
        Command::Priority(args) => operate::priority(context, args.words).await,
        Command::Purge(args) => operate::purge(context, &args.state).await,
        Command::Queues(args) => queues::run(context, args).await,
        Command::Pause(queue) => queues::pause(context, &queue.name, true).await,
        Command::Resume(queue) => queues::pause(context, &queue.name, false).await,
        Command::Nodes(args) => nodes::list(context, args.watch).await,
        Command::Node(args) => nodes::tell(context, args.command).await,
        Command::Top(args) => top::run(context, args).await,
        Command::Events(args) => events::run(context, args).await,
        Command::Audit(args) => audit::run(context, args).await,
        Command::Budgets(args) => budgets::run(context, args).await,
        Command::Metrics(args) => metrics::run(context, args).await,
        Command::Models(args) => models::run(context, args).await,
        Command::SelectModel(args) => models::select(context, &args).await,
        Command::Review(args) => review::run(context, args).await,
        Command::Doctor(args) => doctor::run(context, &args).await,
        Command::Export(args) => export::run(context, args).await,
        Command::Import(args) => import::run(context, args).await,
        Command::Dev(args) => dev::run(context, &cli.global, args).await,
        Command::Objects(args) => objects::run(context, args.command).await,
        Command::Keys(_) => keys::list(context),
        Command::Tokens(args) => tokens::run(context, &args.command),
        Command::Config => config(context),
        Command::Completions { .. }
        | Command::Man
        | Command::Reference { .. }
        | Command::Scripted(_)
        | Command::Serve(_)
        | Command::DieWithParent { .. } => Ok(()),
    }
}

fn config(context: &Context) -> Done {
    let settings = context.config.effective(Who::Both);
    output::list(
        context.format.unwrap_or(Format::Table),
        &settings,
        &["SETTING", "VALUE", "FROM"],
        |setting| vec![setting.key.to_owned(), setting.value.clone(), setting.origin.clone()],
    )
}

fn completions(shell: clap_complete::Shell) -> Done {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "windlass", &mut text);
    output::line(&String::from_utf8_lossy(&text))
}

fn man() -> Done {
    let mut text = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut text)?;
    output::line(&String::from_utf8_lossy(&text))
}

fn reference(page: &str) -> Done {
    match page {
        "states" => output::line(windlass_shared::model::state::markdown().trim_end()),
        "configuration" => output::line(reference_markdown().trim_end()),
        "openapi" => output::line(&serve::document().to_pretty_json().unwrap_or_default()),
        "metrics" => output::line(windlass_telemetry::reference_markdown().trim_end()),
        other => Err(Failure::Usage(format!(
            "there is no reference page {other:?}: use states, configuration, metrics or openapi"
        ))),
    }
}
