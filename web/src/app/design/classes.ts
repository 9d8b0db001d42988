/** Joins class names, leaving out what is not there. */

/** The given names joined by a space; `false`, `null`, `undefined` and `""` are left out. */
export function classes(...names: (string | false | null | undefined)[]): string {
  return names.filter(Boolean).join(" ");
}
