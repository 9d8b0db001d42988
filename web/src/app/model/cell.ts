/** What the model's stores are made of: a value that tells when it is another one, and what keeps values the same. */
export { Cell } from "@sdk";

/** Whether two values with named fields show the same: each field identical. */
export function sameFields<T extends object>(a: T, b: T): boolean {
  const keys = Object.keys(a) as (keyof T)[];
  return keys.length === Object.keys(b).length && keys.every((key) => Object.is(a[key], b[key]));
}

/** `next` if it differs from `last` in length or in an element, else `last`: keeps a list's identity. */
export function sameList<T>(last: readonly T[], next: readonly T[]): readonly T[] {
  return last.length === next.length && next.every((item, at) => item === last[at]) ? last : next;
}
