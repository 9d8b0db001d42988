/** The access token, where the person wanted it kept: for this tab, or for this browser. */

const KEY = "holdfast.token";

/** The kept token, or null. */
export function readToken(): string | null {
  try {
    return sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** Keeps the token for this tab, or for the browser; `null` forgets it in both. False: this browser keeps nothing. */
export function writeToken(token: string | null, keep: "tab" | "browser" = "tab"): boolean {
  try {
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
    if (token !== null) (keep === "browser" ? localStorage : sessionStorage).setItem(KEY, token);
    return true;
  } catch {
    return false;
  }
}
