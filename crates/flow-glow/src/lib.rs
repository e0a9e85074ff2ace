//! Glow: generative flow with invertible 1x1 convolutions, its training and its checkpoints.
