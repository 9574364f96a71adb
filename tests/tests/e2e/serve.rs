//! `windlass serve`: the API, through the real program, over real HTTP.

mod access;
mod bulk;
mod page;
mod scale;
mod streams;
mod tasks;
