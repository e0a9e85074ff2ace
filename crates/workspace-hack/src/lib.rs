//! Nothing: the features that its manifest asks for are what it is for.
