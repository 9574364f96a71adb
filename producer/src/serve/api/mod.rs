//! The resources below `/v1`.

pub(super) mod batches;
mod bulk;
pub(super) mod events;
pub(super) mod fleet;
mod llm;
pub(super) mod nodes;
pub(super) mod queues;
pub(super) mod results;
pub(super) mod reviews;
mod submit;
mod tasks;

use utoipa_axum::router::OpenApiRouter;

use super::app::App;

/// Routes by the role that they need.
pub(super) struct Routes {
    pub(super) submit: OpenApiRouter<App>,
    pub(super) read: OpenApiRouter<App>,
    pub(super) operate: OpenApiRouter<App>,
}

pub(super) fn routes() -> Routes {
    Routes {
        submit: OpenApiRouter::new().merge(submit::routes()).merge(bulk::routes()),
        read: OpenApiRouter::new()
            .merge(tasks::looking())
            .merge(batches::routes())
            .merge(results::routes())
            .merge(queues::looking())
            .merge(nodes::looking())
            .merge(events::routes())
            .merge(fleet::routes())
            .merge(llm::looking())
            .merge(reviews::looking()),
        operate: OpenApiRouter::new()
            .merge(tasks::acting())
            .merge(queues::acting())
            .merge(nodes::acting())
            .merge(llm::acting())
            .merge(reviews::acting()),
    }
}
