"""The figures: what an answer costs, how far one core goes, and how each cost grows.

`python -m bench [names…] [--quick]`. Everything runs on this machine, in processes that are started here, bounded, and
ended by their id. A figure counts as a ratio between things measured by turns in one run; absolute figures are the
machine's. Each scenario is a module with `async def run(scale) -> Report`.
"""
