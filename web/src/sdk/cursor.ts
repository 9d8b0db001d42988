/** Reading a cursor's offset; everything else in it is the server's own business. */

/** The offset that a cursor names, or null if it is not one. */
export function offsetOf(cursor: string): number | null {
  const match = /^([0-9]{1,16})-[0-9]{1,16}\.[0-9a-f]{8,32}$/.exec(cursor);
  const offset = match ? Number(match[1]) : Number.NaN;
  return Number.isSafeInteger(offset) ? offset : null;
}
