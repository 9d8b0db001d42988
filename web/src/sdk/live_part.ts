/**
 * A part of a transcript in the making: what a fold adds to, and what it looks like when it is asked for.
 *
 * Text is kept in the pieces in which it came; the whole of it is put together only for whoever asks, from what was put
 * together before and the pieces since.
 */
import { Crc } from "./crc32.ts";
import type { Part } from "./parts.ts";
import type { TranscriptPart } from "./wire.gen.ts";

/** The values a part opened with, as the event carried them. */
export type PartFields = Readonly<Record<string, unknown>> & { readonly at: number };

const TEXTS: ReadonlySet<string> = new Set(["text", "reasoning", "tool"]);

export class LivePart {
  readonly kind: Part["kind"];
  fields: PartFields;
  open: boolean;
  state: string;
  result = "";
  /** What of it the digest covers. */
  readonly shown = new Crc();
  readonly chunks: string[] = [];
  #joined = "";
  #joinedCount = 0;

  constructor(kind: Part["kind"], fields: PartFields, open = false, state = "") {
    this.kind = kind;
    this.fields = fields;
    this.open = open;
    this.state = state;
  }

  /** Add text at the end. */
  add(text: string): void {
    this.shown.add(text);
    if (text) this.chunks.push(text);
  }

  /** The text of the first `count` pieces. */
  #text(count: number): string {
    if (count < this.#joinedCount) return this.chunks.slice(0, count).join("");
    if (count > this.#joinedCount) {
      this.#joined += this.chunks.slice(this.#joinedCount, count).join("");
      this.#joinedCount = count;
    }
    return this.#joined;
  }

  /** The part as it is now, for readers; it stays so when the part changes. */
  view(): Part {
    if (!TEXTS.has(this.kind)) return this.frozen() as Part;
    const { kind, fields, chunks, open } = this;
    const count = chunks.length;
    const text = () => this.#text(count);
    if (kind === "tool") {
      const { result, state } = this;
      return {
        kind,
        ...fields,
        get arguments() {
          return text();
        },
        result,
        state,
        chunks,
      } as unknown as Part;
    }
    return {
      kind,
      at: fields.at,
      get text() {
        return text();
      },
      open,
      chunks,
    } as unknown as Part;
  }

  /** The value as it is on the wire. The kind says which fields the event brought; the fold has put them there. */
  frozen(): TranscriptPart {
    const { kind, fields, state } = this;
    switch (kind) {
      case "text":
      case "reasoning":
        return { kind, at: fields.at, text: this.#text(this.chunks.length), open: this.open };
      case "tool":
        return {
          kind,
          ...fields,
          arguments: this.#text(this.chunks.length),
          result: this.result,
          state,
        } as unknown as TranscriptPart;
      case "progress":
      case "wait":
        return { kind, ...fields, state } as unknown as TranscriptPart;
      default:
        return { kind, ...fields } as unknown as TranscriptPart;
    }
  }
}
