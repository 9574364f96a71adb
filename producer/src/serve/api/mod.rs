//! The resources below `/v1`.

pub(crate) mod batches;
mod bulk;
pub(crate) mod events;
pub(crate) mod fleet;
mod llm;
pub(crate) mod nodes;
pub(crate) mod queues;
pub(crate) mod results;
pub(crate) mod reviews;
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
