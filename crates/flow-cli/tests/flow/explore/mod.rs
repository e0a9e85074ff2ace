//! `flow explore`: the server, and the page in a browser.

mod browser;
mod hostile;
mod same;
mod server;
