/** A block of code: its language, copying, wrapping, and lines that are highlighted piece by piece as they come. */

import { announce, IconButton } from "@app/design/index.ts";
import { Check, Copy, WrapText } from "lucide-react";
import { memo, useMemo, useRef, useState } from "react";
import { withBidiShown } from "../address.ts";
import type { Piece } from "../split/cut.ts";
import { added, type Chapters, NO_CHAPTERS } from "../split/rope.ts";
import styles from "./code.module.css";
import { cutTokens, HIGHLIGHT_CHARS_MAX, useHighlight } from "./highlighter.ts";
import type { Token } from "./languages.ts";

/** How long "Copied" is shown. */
const COPIED_MS = 1_600;

/** Code that is whole. `info` is what stands after the fence: the language, and more that is left out. */
export function CodeBlock({ info, source }: { info: string; source: string }) {
  const pieces = useMemo<Chapters<Piece>>(
    () =>
      source === ""
        ? NO_CHAPTERS
        : added(NO_CHAPTERS, { key: 0, source: `${source}\n`, line: "", open: false, before: 0 }),
    [source],
  );
  return <CodePieces info={info} pieces={pieces} open={false} />;
}

/** Code in pieces of whole lines, the last of which may be growing. */
export function CodePieces({ info, pieces, open }: { info: string; pieces: Chapters<Piece>; open: boolean }) {
  const [wrap, setWrap] = useState(false);
  const language = /^[\w+#.-]{1,32}/.exec(info)?.[0] ?? "";
  const highlight = useHighlight(language !== "");
  const whole = useMemo(() => {
    // Only once it is closed, and only if pieces can see different things alone than together.
    if (open || !highlight || (pieces.length <= 1 && (pieces[0]?.length ?? 0) <= 1)) return null;
    const code = textOf(pieces);
    if (code.length > HIGHLIGHT_CHARS_MAX) return null;
    const tokens = highlight(code, language.toLowerCase());
    return (
      tokens &&
      cutTokens(
        tokens,
        pieces.flat().map((piece) => piece.source.length),
      )
    );
  }, [open, highlight, pieces, language]);
  const label = language || "Code";
  return (
    <div className={styles.block}>
      <div className={styles.bar}>
        <span className={styles.language}>{language || "text"}</span>
        <IconButton
          label="Wrap lines"
          pressed={wrap}
          onClick={() => setWrap(!wrap)}
          icon={<WrapText size={16} aria-hidden="true" />}
        />
        <CopyButton text={() => textOf(pieces).replace(/\n$/, "")} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard */}
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for fields, and a region would be a landmark for each */}
      <div className={styles.scroll} tabIndex={0} role="group" aria-label={`Code: ${label}`}>
        <pre className={wrap ? `${styles.pre} ${styles.wrapped}` : styles.pre}>
          <code>
            {pieces.map((chapter, at) => (
              <CodeChapter
                // biome-ignore lint/suspicious/noArrayIndexKey: chapters are never moved
                key={at}
                chapter={chapter}
                language={highlight ? language : ""}
                runs={whole}
              />
            ))}
          </code>
        </pre>
      </div>
    </div>
  );
}

interface ChapterProps {
  readonly chapter: readonly Piece[];
  /** "" while there is nothing to highlight with. */
  readonly language: string;
  readonly runs: readonly (readonly Token[])[] | null;
}

const CodeChapter = memo(function CodeChapter({ chapter, language, runs }: ChapterProps) {
  return (
    <span className={styles.chapter}>
      {chapter.map((piece) => (
        <CodePiece
          key={piece.key}
          source={piece.source}
          language={language}
          run={runs?.[piece.key] ?? null}
        />
      ))}
    </span>
  );
});

const CodePiece = memo(function CodePiece(props: {
  source: string;
  language: string;
  run: readonly Token[] | null;
}) {
  const { source, language, run } = props;
  const highlight = useHighlight(language !== "");
  const tokens = useMemo(
    () => run ?? highlight?.(source, language.toLowerCase()) ?? [{ kind: "", text: source }],
    [run, highlight, source, language],
  );
  return (
    <span className={styles.piece}>
      {tokens.map((token, at) => {
        const text = withBidiShown(at === tokens.length - 1 ? token.text.replace(/\n$/, "") : token.text);
        if (token.kind === "") return text;
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: tokens have no other name
          <span key={at} data-token={token.kind}>
            {text}
          </span>
        );
      })}
    </span>
  );
});

/** Copies; says so in place and to screen readers. */
export function CopyButton({ text, label = "Copy code" }: { text: () => string; label?: string }) {
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const copy = () => {
    // Without TLS on another machine than this there is no clipboard at all.
    const { clipboard } = navigator as Partial<Pick<Navigator, "clipboard">>;
    const copying = clipboard?.writeText(text()) ?? Promise.reject(new Error("no clipboard"));
    copying.then(
      () => {
        setCopied(true);
        announce("Copied");
        clearTimeout(timer.current);
        timer.current = setTimeout(() => setCopied(false), COPIED_MS);
      },
      () => announce("Could not copy: the browser did not allow it."),
    );
  };
  const Icon = copied ? Check : Copy;
  return (
    <IconButton
      label={copied ? "Copied" : label}
      onClick={copy}
      icon={<Icon size={16} aria-hidden="true" />}
    />
  );
}

function textOf(pieces: Chapters<Piece>): string {
  return pieces
    .flat()
    .map((piece) => piece.source)
    .join("");
}
