//! The pages.

pub(super) mod actions;
pub(super) mod batches;
pub(super) mod dead;
pub(super) mod login;
pub(super) mod models;
pub(super) mod nodes;
pub(super) mod overview;
pub(super) mod queues;
pub(super) mod reviews;
pub(super) mod task;
pub(super) mod tasks;
