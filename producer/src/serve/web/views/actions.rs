//! What operators did.

use axum::{Extension, extract::State};
use serde_json::json;

use crate::{
    commands::audit,
    serve::{
        app::App,
        web::{
            page::{Shown, value},
            session::Who,
        },
    },
};

const LATEST: usize = 200;

pub(in crate::serve::web) async fn page(State(app): State<App>, Extension(visitor): Who) -> Shown {
    let mut actions = audit::latest(&app.store, LATEST, |_| true).await?;
    actions.reverse();
    visitor.page("actions.html", "Operators' log", json!({ "rows": value(&actions), "most": LATEST }))
}
