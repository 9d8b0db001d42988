/** What the one quiet line says about the connection. */
import type { ConnectionState } from "@sdk";

/** What the line shows. `text` is read aloud; `count` (a countdown) is only seen. */
export interface ConnectionWords {
  readonly text: string;
  readonly count: string;
  readonly tone: "quiet" | "warn" | "fail";
  readonly action: "retry" | "token" | "reload" | null;
}

/** Close code of a server that restarts. */
const RESTARTING = 1012;

/** The line for a state of the connection at `nowMs` (this machine's clock); null when all is well. */
export function connectionWords(state: ConnectionState, nowMs: number): ConnectionWords | null {
  switch (state.phase) {
    case "idle":
    case "closed":
      return null;
    case "online":
      if (state.draining) {
        return quiet("The server is about to restart. Answers go on, and this page comes back by itself.");
      }
      if (state.unsent > 0 && !state.durable) return { ...quiet(`Sending…${kept(state)}`), tone: "warn" };
      return state.unsent > 0 ? quiet(`Sending ${messages(state.unsent)}…`) : null;
    case "connecting":
      return quiet(state.tries > 0 ? "Connecting again…" : "Connecting…");
    case "offline":
      return { text: `You are offline.${kept(state)}`, count: "", tone: "warn", action: null };
    case "waiting": {
      const left = state.retryAt === null ? 0 : Math.max(0, Math.ceil((state.retryAt - nowMs) / 1000));
      const what = state.code === RESTARTING ? "The server is restarting." : "No connection to the server.";
      return {
        text: what + kept(state),
        count: left > 0 ? `Next try in ${left} s.` : "Trying…",
        tone: "warn",
        action: "retry",
      };
    }
    case "refused":
      if (state.needsToken) {
        return { text: "This server asks for a token.", count: "", tone: "fail", action: "token" };
      }
      return {
        text: state.reason || "The server refused the connection.",
        count: "",
        tone: "fail",
        action: "reload",
      };
  }
}

function quiet(text: string): ConnectionWords {
  return { text, count: "", tone: "quiet", action: null };
}

function messages(count: number): string {
  return count === 1 ? "1 message" : `${count} messages`;
}

/** What becomes of what is not sent: usually it outlives the page; where the browser keeps nothing that must be known. */
function kept({ unsent, durable }: ConnectionState): string {
  if (unsent === 0) return "";
  if (!durable) {
    const what = unsent === 1 ? "1 message waits" : `${unsent} messages wait`;
    return ` ${what}; this browser cannot keep ${unsent === 1 ? "it" : "them"}, so leave this page open.`;
  }
  return unsent === 1
    ? " 1 message is kept here and will be sent."
    : ` ${unsent} messages are kept here and will be sent.`;
}
