"""The Holdfast client: a connection that loses nothing, and the command line built on it."""
