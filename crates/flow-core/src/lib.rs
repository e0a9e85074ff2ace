//! Invertible tensor maps with tractable Jacobian determinants: normalizing flows on candle.
