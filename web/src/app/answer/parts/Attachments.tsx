/** What an answer carries besides text: sources it cites, files it made, values for the application, what the person added. */
import type { DataPart, FilePart, InputPart, Part } from "@sdk";
import { Database, ExternalLink, FileText } from "lucide-react";
import { safeAddress } from "../address.ts";
import { CodeBlock } from "../code/CodeBlock.tsx";
import { Fold } from "./Fold.tsx";
import styles from "./parts.module.css";
import { pretty } from "./ToolCall.tsx";

/** Sources shown before the rest is folded away. */
const SOURCES_SHOWN = 8;

export function SourceList({ parts }: { parts: readonly Part[] }) {
  const chips = parts.map((part, at) =>
    part.kind === "source" ? (
      <Chip key={part.id || at} number={at + 1} url={part.url} title={part.title} />
    ) : null,
  );
  return (
    <div className={styles.stack}>
      <ul className={styles.chips} aria-label="Sources">
        {chips.slice(0, SOURCES_SHOWN)}
      </ul>
      {chips.length > SOURCES_SHOWN && (
        <Fold summary={`${chips.length - SOURCES_SHOWN} more sources`}>
          {() => <ul className={styles.chips}>{chips.slice(SOURCES_SHOWN)}</ul>}
        </Fold>
      )}
    </div>
  );
}

function Chip({ number, url, title }: { number: number; url: string; title: string }) {
  const address = safeAddress(url);
  const name = title || address?.host || url;
  const inside = (
    <>
      <span className={styles.numbers}>{number}</span>
      <span className={styles.chipName}>{name}</span>
      {address && title && <span className={styles.faint}>{address.host}</span>}
    </>
  );
  return (
    <li>
      {address ? (
        <a
          className={styles.chip}
          href={address.href}
          target="_blank"
          rel="noopener noreferrer nofollow"
          title={address.href}
        >
          {inside}
        </a>
      ) : (
        <span className={styles.chip}>{inside}</span>
      )}
    </li>
  );
}

export function FileView({ part }: { part: FilePart }) {
  const address = safeAddress(part.url) ?? ownPath(part.url);
  const name = part.name || address?.host || "File";
  return (
    <div className={styles.file}>
      <FileText size={18} aria-hidden="true" />
      <span className={styles.chipName}>{name}</span>
      <span className={styles.faint}>{part.media_type}</span>
      {address ? (
        <a
          href={address.href}
          target="_blank"
          rel="noopener noreferrer nofollow"
          aria-label={`Open ${name} in a new tab`}
        >
          Open <ExternalLink size={14} aria-hidden="true" />
        </a>
      ) : (
        <span className={styles.faint}>its address cannot be opened</span>
      )}
    </div>
  );
}

/** A path on this server: files that agents make may be kept there. */
function ownPath(url: string): { href: string; host: string } | null {
  return url.length <= 2_000 && /^\/(?![/\\])[\w./~%-]*$/.test(url)
    ? { href: url, host: url.split("/").at(-1) || "File" }
    : null;
}

export function ValueView({ part }: { part: DataPart }) {
  return (
    <Fold icon={<Database size={16} aria-hidden="true" />} summary={part.name || "Data"} aside="data">
      {() => <CodeBlock info="json" source={pretty(JSON.stringify(part.data ?? null)).text} />}
    </Fold>
  );
}

export function InputView({ part }: { part: InputPart }) {
  return (
    <div className={styles.added}>
      <p className={styles.label}>You added</p>
      <p className={styles.addedText}>{part.text}</p>
    </div>
  );
}
