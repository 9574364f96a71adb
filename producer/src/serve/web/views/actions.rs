//! What operators did.

use axum::{Extension, extract::State};
use serde_json::json;

use crate::serve::{
    api::events::latest_actions,
    app::App,
    web::{
        page::{Shown, value},
        session::Who,
    },
};

const LATEST: usize = 200;

pub(in crate::serve::web) async fn page(State(app): State<App>, Extension(visitor): Who) -> Shown {
    let mut actions = latest_actions(&app, LATEST).await?;
    actions.reverse();
    visitor.page("actions.html", "Operators' log", json!({ "rows": value(&actions), "most": LATEST }))
}
