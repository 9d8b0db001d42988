/** The digest that makes resume verified: CRC-32 over what the parts show (docs/protocol.md, section 10). */
import { Crc } from "./crc32.ts";
import { COVERED } from "./wire.gen.ts";

/** How many covered parts, how many UTF-8 bytes they show in all, and the CRC-32 as 8 hex digits. */
export interface Digest {
  readonly parts: number;
  readonly bytes: number;
  readonly crc: string;
}

const covered: ReadonlySet<string> = new Set(COVERED);

/** The digest of parts, each with its kind and its running CRC; kinds that are not covered are left out. */
export function digestOf(parts: Iterable<{ readonly kind: string; readonly shown: Crc }>): Digest {
  const lines = new Crc();
  let count = 0;
  let bytes = 0;
  for (const part of parts) {
    if (!covered.has(part.kind)) continue;
    count++;
    bytes += part.shown.bytes;
    lines.add(`${part.kind}:${part.shown.bytes}:${part.shown.hex}\n`);
  }
  return { parts: count, bytes, crc: lines.hex };
}
