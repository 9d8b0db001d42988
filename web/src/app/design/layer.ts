/** Where floating things are mounted: in the open dialog if there is one, for what is outside it is inert. */
import { createContext, useContext } from "react";

/** The element of the dialog around, or null on the page itself. */
export const LayerContext = createContext<HTMLElement | null>(null);

/** The element into which menus of this place belong; `undefined` means the document's body. */
export function useLayer(): HTMLElement | undefined {
  return useContext(LayerContext) ?? undefined;
}
