"""What deploys Holdfast: nginx's configuration, and the whole of it on one machine."""
