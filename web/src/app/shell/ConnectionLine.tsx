/**
 * One quiet line about the connection: nothing while all is well.
 *
 * It is a strip above the screen that covers nothing; the thread below holds what is read where it is. Trouble of less than a
 * second is not told; after told trouble it says once that all is well. The countdown is seen, not read aloud.
 */
import { Button, classes } from "@app/design/index.ts";
import { useClient, useConnection } from "@app/model/index.ts";
import { Check, CloudOff, KeyRound, RotateCw, TriangleAlert } from "lucide-react";
import { useEffect, useState } from "react";
import styles from "./connection.module.css";
import { connectionWords } from "./connectionWords.ts";
import { openOverlay } from "./overlays.ts";

/** Most reconnects are done within this; telling them would only worry. */
const QUIET_MS = 1200;
/** How long "connected again" stands. */
const AGAIN_MS = 2500;

/** The line; `hideToken` while the token form itself is on screen. */
export function ConnectionLine({ hideToken }: { hideToken: boolean }) {
  const state = useConnection();
  const client = useClient();
  const now = useTicking(state.phase === "waiting");
  const words = connectionWords(state, now);
  const told = useSettled(words !== null, words?.tone === "fail" ? 0 : QUIET_MS);
  const again = useAgain(told && state.phase !== "online" && !state.needsToken, state.phase === "online");
  const shown = told && words && !(hideToken && words.action === "token") ? words : null;

  return (
    <div className={classes(styles.line, shown && styles[shown.tone], (shown || again) && styles.shown)}>
      <span className={styles.icon} aria-hidden="true">
        {shown ? <Icon tone={shown.tone} action={shown.action} /> : again && <Check size={15} />}
      </span>
      <span role="status" className={styles.text}>
        {shown ? shown.text : again ? "Connected again." : ""}
      </span>
      {shown?.count && (
        <span className={styles.count} aria-hidden="true">
          {shown.count}
        </span>
      )}
      {shown?.action === "retry" && (
        <Button size="s" variant="quiet" className={styles.action} onClick={() => client.retryNow()}>
          Try now
        </Button>
      )}
      {shown?.action === "token" && (
        <Button size="s" variant="quiet" className={styles.action} onClick={() => openOverlay("token")}>
          Enter token
        </Button>
      )}
      {shown?.action === "reload" && (
        <Button size="s" variant="quiet" className={styles.action} onClick={() => location.reload()}>
          Reload the page
        </Button>
      )}
    </div>
  );
}

function Icon({ tone, action }: { tone: string; action: string | null }) {
  if (action === "token") return <KeyRound size={15} />;
  if (tone === "quiet") return <RotateCw size={15} className={styles.turning} />;
  return tone === "fail" ? <TriangleAlert size={15} /> : <CloudOff size={15} />;
}

/** True once `on` has been true for `afterMs`; false at once when it is not. */
function useSettled(on: boolean, afterMs: number): boolean {
  const [settled, setSettled] = useState(false);
  useEffect(() => {
    if (!on) return setSettled(false);
    const timer = setTimeout(() => setSettled(true), afterMs);
    return () => clearTimeout(timer);
  }, [on, afterMs]);
  return on && settled;
}

/** True for a while after told trouble has ended well. */
function useAgain(trouble: boolean, online: boolean): boolean {
  const [was, setWas] = useState(false);
  useEffect(() => {
    if (trouble) return setWas(true);
    if (!was || !online) return;
    const timer = setTimeout(() => setWas(false), AGAIN_MS);
    return () => clearTimeout(timer);
  }, [trouble, was, online]);
  return was && online && !trouble;
}

/** This machine's time, once a second while `on`. */
function useTicking(on: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!on) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [on]);
  return now;
}
