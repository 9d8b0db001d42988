/** The access token, where the person wanted it kept: for this tab, or for this browser. */

const KEY = "holdfast.token";

/** Beside the token: whom the server took its bearer for. */
const USER_KEY = "holdfast.user";

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
    sessionStorage.removeItem(USER_KEY);
    localStorage.removeItem(USER_KEY);
    if (token !== null) (keep === "browser" ? localStorage : sessionStorage).setItem(KEY, token);
    return true;
  } catch {
    return false;
  }
}

/** Who was here last with the kept token (or without one), if that is remembered: what they left unsent can be shown before
 * there is a connection. */
export function readUser(): string | undefined {
  try {
    return besideToken().getItem(USER_KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Remember who is here, as long as the token is kept. */
export function rememberUser(user: string): void {
  try {
    besideToken().setItem(USER_KEY, user);
  } catch {
    // What is left unsent then shows with the first connection.
  }
}

/** A token of one tab is of one tab's person. */
function besideToken(): Storage {
  return sessionStorage.getItem(KEY) === null ? localStorage : sessionStorage;
}
