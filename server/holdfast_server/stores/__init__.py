"""Where journals are kept: the port (base.py), a journal in memory (log.py), and the stores."""
