//! The page of `flow explore`: a local server, and the engine that answers it.
//!
//! [`serve`] is the way in. [`server`] accepts connections and cuts off slow ones, [`guard`] refuses
//! requests of other web pages, [`routes`] knows the addresses, [`page`] the embedded files. Work
//! waits in a [`queue`], of which one thread, the [`engine`], takes a piece at a time; what takes
//! seconds runs beside it as one of the [`tasks`]. Each of the [`views`] has a file.

mod command_line;
mod engine;
mod failure;
mod guard;
mod image_name;
mod page;
mod queue;
mod routes;
mod server;
mod session;
mod source;
mod tasks;
mod views;

pub(crate) use server::serve;
pub(crate) use session::Session;
