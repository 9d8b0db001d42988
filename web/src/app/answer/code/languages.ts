/** The languages that are highlighted, and how each is named to people. Loaded when the first code is shown. */
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import csharp from "highlight.js/lib/languages/csharp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import kotlin from "highlight.js/lib/languages/kotlin";
import markdown from "highlight.js/lib/languages/markdown";
import php from "highlight.js/lib/languages/php";
import python from "highlight.js/lib/languages/python";
import ruby from "highlight.js/lib/languages/ruby";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import swift from "highlight.js/lib/languages/swift";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight } from "lowlight";

const lowlight = createLowlight({
  bash,
  c,
  cpp,
  csharp,
  css,
  diff,
  go,
  ini,
  java,
  javascript,
  json,
  kotlin,
  markdown,
  php,
  python,
  ruby,
  rust,
  sql,
  swift,
  typescript,
  xml,
  yaml,
});

/** A stretch of code of one kind (`kind` is a class name without its prefix, "" for none). */
export interface Token {
  readonly kind: string;
  readonly text: string;
}

interface Tree {
  type: string;
  value?: string;
  properties?: { className?: unknown };
  children?: Tree[];
}

/** The code as tokens, whose texts put together are the code; null where the language is not known. */
export function tokensOf(code: string, language: string): readonly Token[] | null {
  if (!lowlight.registered(language)) return null;
  const tokens: Token[] = [];
  flatten(lowlight.highlight(language, code) as Tree, "", tokens);
  return tokens;
}

function flatten(node: Tree, kind: string, into: Token[]): void {
  if (node.type === "text") {
    if (node.value) into.push({ kind, text: node.value });
    return;
  }
  const names = node.properties?.className;
  const own = Array.isArray(names) ? String(names[0] ?? "").replace(/^hljs-/, "") : kind;
  for (const child of node.children ?? []) flatten(child, own, into);
}
