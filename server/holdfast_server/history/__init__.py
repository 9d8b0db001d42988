"""The history's parts: tables, statements, full-text search, projection of journals; their public face is chats.py, the errors it raises are in visible.py."""
