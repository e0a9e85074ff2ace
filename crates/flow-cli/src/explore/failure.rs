//! Failures of requests: a status, and one sentence that the page shows.

use anyhow::Error;
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Characters of a sentence at most; requests that are quoted in it have no bound of their own.
const LONGEST: usize = 600;

/// The reason why a request has no result.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    sentence: String,
}

impl Failure {
    /// A failure with this status.
    pub(super) fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into().replace(char::is_control, " ");
        Self {
            status,
            sentence: sentence.chars().take(LONGEST).collect(),
        }
    }

    /// A request that is not understood.
    pub(super) fn request(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, sentence)
    }

    /// A newer request of the same view has taken the place of this one.
    pub(super) fn superseded() -> Self {
        Self::new(StatusCode::CONFLICT, "a newer request took its place")
    }

    /// A panic.
    pub(super) fn failed() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the program failed; the terminal in which it runs says more",
        )
    }

    /// More is asked for than can wait.
    pub(super) fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many requests wait; try again in a moment",
        )
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{error:#}"))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.sentence }))).into_response()
    }
}
