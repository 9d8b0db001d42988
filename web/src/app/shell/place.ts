/** Where the person is, read from the address; and the one way to go elsewhere. */
import { useLocation } from "wouter";

/** A screen of the page. */
export type Place =
  | { readonly screen: "chat"; readonly chatId: string | null }
  | { readonly screen: "inbox" }
  | { readonly screen: "activity" }
  | { readonly screen: "story"; readonly requestId: string }
  | { readonly screen: "lost" };

/** The screen of a path; ids that no server gives lead to `lost`. */
export function placeOf(path: string): Place {
  const [, first = "", second = "", ...rest] = path.replace(/\/+$/, "").split("/");
  const id = /^[A-Za-z0-9_-]{1,64}$/.test(second);
  if (rest.length > 0) return { screen: "lost" };
  if (first === "" && !second) return { screen: "chat", chatId: null };
  if (first === "c" && id) return { screen: "chat", chatId: second };
  if (first === "inbox" && !second) return { screen: "inbox" };
  if (first === "activity" && !second) return { screen: "activity" };
  if (first === "activity" && id) return { screen: "story", requestId: second };
  return { screen: "lost" };
}

/** The place now, and how to go to a path. */
export function usePlace(): readonly [Place, (path: string) => void] {
  const [path, go] = useLocation();
  return [placeOf(path), go];
}

/** The chat of the address, or null. */
export function useChatId(): string | null {
  const [place] = usePlace();
  return place.screen === "chat" ? place.chatId : null;
}
