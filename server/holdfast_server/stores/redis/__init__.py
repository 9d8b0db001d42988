"""Journals in Redis, shared by many nodes."""
