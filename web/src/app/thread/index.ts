/** The thread: one chat on screen, with its composer. */
export { ThreadScreen } from "./ThreadScreen.tsx";
export type { ThreadPlace } from "./useScroller.ts";
