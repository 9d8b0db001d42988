"""The style sheet of /docs."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --back: light-dark(#fbfbf9, #15171a); --panel: light-dark(#f1f1ec, #1d2024); --line: light-dark(#dcdcd4, #33373d);
  --text: light-dark(#1d2126, #e4e6e9); --soft: light-dark(#565d66, #a2a9b2); --link: light-dark(#0b5cad, #7db8f5);
  --get: light-dark(#0b6b3a, #6fcf97); --post: light-dark(#0b5cad, #7db8f5); --delete: light-dark(#a62222, #f28b82);
  --patch: light-dark(#8a5a00, #e8b64c);
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body {
  margin: 0; display: grid; grid-template-columns: 17rem minmax(0, 1fr); background: var(--back); color: var(--text);
  font: 1rem/1.55 system-ui, sans-serif;
}
nav { font-size: 0.9rem; }
.side {
  position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.25rem; border-right: 1px solid var(--line);
  background: var(--panel);
}
.folded { display: none; margin: 1rem 0; padding: 0.5rem 1rem; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; }
nav .home { font-size: 1.15rem; font-weight: 650; color: var(--text); }
nav h2 { margin: 1.25rem 0 0.25rem; font-size: 0.8rem; color: var(--soft); }
nav ul { margin: 0; padding: 0; list-style: none; }
nav li a { display: block; padding: 0.2rem 0; color: var(--text); }
main { max-width: 56rem; padding: 1.5rem 2rem 6rem; }
h1 { margin: 0 0 0.5rem; font-size: 1.8rem; line-height: 1.2; }
h2 { margin: 2.5rem 0 0.5rem; font-size: 1.3rem; }
h3 { margin: 0 0 0.25rem; font-size: 1.1rem; }
h3 a { color: inherit; }
section { padding: 1.25rem 0; border-top: 1px solid var(--line); }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
a:focus-visible, summary:focus-visible, .wide:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 2px; }
code, pre { font: 0.86em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre { margin: 0.75rem 0; padding: 0.8rem 1rem; overflow-x: auto; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; }
pre code { font-size: 0.85rem; }
.path { margin: 0 0 0.5rem; }
.method { font: 600 0.72rem/1 ui-monospace, monospace; }
.get { color: var(--get); } .post { color: var(--post); } .delete { color: var(--delete); }
.patch, .put { color: var(--patch); }
.wide { overflow-x: auto; }
td:first-child code { white-space: nowrap; }
table { width: 100%; border-collapse: collapse; margin: 0.5rem 0; font-size: 0.9rem; }
th, td { padding: 0.35rem 0.75rem 0.35rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 500; }
small { color: var(--soft); font-weight: 400; }
details { margin: 0.4rem 0; }
summary { cursor: pointer; padding: 0.2rem 0; color: var(--soft); }
.shape { scroll-margin-top: 3rem; }
.shape > p { margin: 0.25rem 0; }
@media (max-width: 50rem) {
  body { display: block; }
  .side { display: none; }
  .folded { display: block; }
  .folded summary { padding: 0.4rem 0; color: var(--text); }
  .folded li a { padding: 0.4rem 0; }
  main { padding: 1.25rem 1rem 4rem; }
}
@media print { nav { display: none; } body { display: block; } }
""".lstrip()
