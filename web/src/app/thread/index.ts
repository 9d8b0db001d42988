/** The thread: one chat on screen, with its composer. */
export { ThreadScreen } from "./ThreadScreen.tsx";
