//! `models select`: the ranking, each part of the score, and why the other models are left out.

use std::time::Duration;

use serde::Serialize;
use windlass_llm::select::{LeftOut, Mode, Ranked, Ranking, Requirements, Weights, rank};
use windlass_shared::model::time::human;

use super::known::Known;
use crate::{
    cli,
    context::Context,
    exit::{Done, Failure},
    output::{self, Format, say},
    steps::duration,
};

/// What is printed as JSON.
#[derive(Serialize)]
pub(crate) struct Selection<'a> {
    pub(crate) requirements: &'a Requirements,
    pub(crate) mode: Mode,
    #[serde(flatten)]
    pub(crate) ranking: &'a Ranking<'a>,
}

/// `windlass models select` and `windlass select-model`.
pub(crate) async fn run(context: &Context, args: &cli::Select) -> Done {
    let requirements = requirements(args)?;
    let mode: Mode = args
        .mode
        .as_deref()
        .unwrap_or(&context.config.llm.mode)
        .parse()
        .map_err(|why| Failure::Usage(format!("--mode: {why}")))?;
    let known = Known::read(context, args.offline).await?;
    known.check_providers(&args.provider)?;
    let ranking = rank(&known.catalog, &requirements, &known, &known, &Weights::of(mode))
        .map_err(|unknown| Failure::Usage(unknown.to_string()))?;
    match context.format.unwrap_or(Format::Table) {
        Format::Json => output::json(&Selection { requirements: &requirements, mode, ranking: &ranking })?,
        Format::Jsonl => {
            output::jsonl(&ranking.ranked)?;
            output::jsonl(&ranking.left_out)?;
        }
        Format::Table => tables(&ranking)?,
    }
    for note in &ranking.notes {
        say!("{note}");
    }
    if args.provider.is_empty() {
        say!("which providers have a key is known to the workers alone; --provider leaves the others out");
    }
    if known.has_pauses() {
        say!(
            "a key that pauses leaves its models out here; workers with another key of the provider still use them"
        );
    }
    ranking.refusal().map_or(Ok(()), |why| Err(Failure::Refused(why)))
}

fn requirements(args: &cli::Select) -> Done<Requirements> {
    let complexity = match &args.complexity {
        Some(word) => word.parse().map_err(|why| Failure::Usage(format!("--complexity: {why}")))?,
        None => windlass_llm::select::Complexity::default(),
    };
    let max_latency = match (&args.max_latency, args.max_latency_ms) {
        (Some(text), _) => Some(duration("--max-latency", text)?),
        (None, ms) => ms.map(|ms| Duration::from_millis(ms.into())),
    };
    let requirements = Requirements {
        category: args.category.clone(),
        complexity,
        quality: args.quality,
        max_latency,
        max_cost_usd: args.max_cost,
        input_tokens: args.input_tokens,
        output_tokens: args.output_tokens,
        tools: args.tools,
        json: args.json,
        schema: args.schema,
        vision: args.vision,
        embeddings: args.embeddings,
        specialisation: args.specialisation.clone(),
        free_only: args.free_only,
        providers: args.provider.clone(),
        models: args.model.clone(),
        exclude: args.exclude.clone(),
    };
    let told = |faults: Vec<String>| Failure::Usage(faults.join("; "));
    requirements.check().map_err(told)?;
    Ok(requirements)
}

fn tables(ranking: &Ranking<'_>) -> Done {
    let parts: Vec<String> = match ranking.best() {
        Some(best) => best.parts.iter().map(|part| part.name.to_uppercase()).collect(),
        None => Vec::new(),
    };
    if let Some(best) = ranking.best() {
        let head: Vec<&str> = ["PLACE", "MODEL", "SCORE"]
            .into_iter()
            .chain(parts.iter().map(String::as_str))
            .chain(["EXPECTED TIME", "EXPECTED COST"])
            .collect();
        output::table(&head, ranking.ranked.iter().enumerate().map(|(n, ranked)| row(n + 1, ranked)))?;
        output::line(&format!("\nWhy {}", best.model.id))?;
        output::table(
            &["PART", "WEIGHT", "VALUE", "POINTS", "WHY"],
            best.parts.iter().map(|part| {
                let numbers = [part.weight, part.value, part.points].map(|number| format!("{number:.3}"));
                std::iter::once(part.name.to_owned()).chain(numbers).chain([part.why.clone()]).collect()
            }),
        )?;
    }
    if ranking.left_out.is_empty() {
        return Ok(());
    }
    let gap = if ranking.ranked.is_empty() { "" } else { "\n" };
    output::line(&format!("{gap}Left out"))?;
    output::table(
        &["MODEL", "WHY"],
        ranking.left_out.iter().map(|left| vec![left.model.id.clone(), why(left)]),
    )
}

/// Place, model, score, the points of each part, what a call takes and costs.
fn row(place: usize, ranked: &Ranked<'_>) -> Vec<String> {
    let mut row = vec![place.to_string(), ranked.model.id.clone(), format!("{:.3}", ranked.score)];
    row.extend(ranked.parts.iter().map(|part| format!("{:.3}", part.points)));
    row.push(human(ranked.expected_latency));
    row.push(ranked.estimated_cost.map_or_else(|| "unknown".to_owned(), |cost| cost.to_string()));
    row
}

fn why(left_out: &LeftOut<'_>) -> String {
    match left_out.relax() {
        Some(relax) => format!("{} (would do with {relax})", left_out.why()),
        None => left_out.why(),
    }
}
