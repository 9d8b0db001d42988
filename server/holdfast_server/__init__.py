"""The Holdfast server: answers that belong to the server, not to a socket."""
