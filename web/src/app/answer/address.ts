/** Which addresses an answer may link to or show: model output is not trusted to name them. */

/** Longer addresses are not linked: no honest one is, and each is shown to a person. */
export const ADDRESS_CHARS_MAX = 2_000;
/** Bytes (as base64 characters) of a picture that an answer carries in itself. */
const PICTURE_CHARS_MAX = 1_000_000;

/** An address that may be followed. */
export interface SafeAddress {
  readonly href: string;
  /** Where it leads: the host as it is looked up (other scripts in xn-- form), or the mail address. */
  readonly host: string;
}

// Controls, white space, what is invisible or changes direction, and the backslash that some readers take for a slash.
const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0020\u007f-\u00a0\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb\\]/;

/** The address as a link may use it, or null: only http, https and mailto, without names and passwords, without characters that deceive. */
export function safeAddress(written: string): SafeAddress | null {
  if (written.length > ADDRESS_CHARS_MAX || HIDDEN.test(written)) return null;
  if (!/^(?:https?:\/\/[^/]|mailto:[^/])/i.test(written)) return null;
  let decoded = written;
  try {
    decoded = decodeURI(written);
  } catch {
    // Bytes that are no text: they stay as they are.
  }
  if (HIDDEN.test(decoded.replace(/ /g, ""))) return null;
  let url: URL;
  try {
    url = new URL(written);
  } catch {
    return null;
  }
  if (url.protocol === "mailto:")
    return { href: url.href, host: decoded.slice("mailto:".length).split("?")[0]! };
  if ((url.protocol !== "http:" && url.protocol !== "https:") || url.username || url.password || !url.host)
    return null;
  return { href: url.href, host: url.host };
}

/** A picture that an answer carries in itself: of a raster type, and not too large. */
export function isOwnPicture(written: string): boolean {
  return (
    written.length <= PICTURE_CHARS_MAX &&
    /^data:image\/(?:png|jpeg|gif|webp|avif);base64,[A-Za-z0-9+/]+={0,2}$/.test(written)
  );
}

/** Whether a link's text names another place than the one it leads to, so that the true one must be shown. */
export function deceives(text: string, address: SafeAddress): boolean {
  const shown = text.normalize("NFKC").toLowerCase();
  const names = shown.match(/(?:[\p{L}\p{N}-]+[.\u3002\uff0e])+[\p{L}]{2,}/gu);
  if (!names) return false;
  const bare = (host: string) => host.toLowerCase().replace(/^www\./, "");
  const host = bare(address.host.split("@").at(-1)!.replace(/:\d+$/, ""));
  return !names.every(
    (name) => bare(name) === host || (bare(name) !== host && shown.includes(address.host.toLowerCase())),
  );
}

const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Code with characters that change the direction of what follows written out: what runs is what is read. */
export function withBidiShown(code: string): string {
  return code.replace(
    BIDI,
    (character) => `⟨U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}⟩`,
  );
}
