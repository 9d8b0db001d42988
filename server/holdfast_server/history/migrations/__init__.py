"""The Alembic environment of the history; every revision is applied at start, in one transaction (database.py)."""
