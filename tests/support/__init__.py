"""What tests stand on: a scripted upstream, a fault proxy, real processes. Each stands by itself."""
