/** Asks before a request is stopped, and stops it. */
import { Button, Dialog, toast } from "@app/design/index.ts";
import { useClient, useConnection } from "@app/model/index.ts";
import type { RequestRow } from "@sdk";
import { useState } from "react";
import styles from "./activity.module.css";

/** Whether the row is one's own: rows of one's own lists carry no owner. Where there are tenants an owner's name begins with
 * one that the connection does not tell; then it is one's own if one's feed knows it. */
export function useMine(): (row: RequestRow) => boolean {
  const client = useClient();
  const { user } = useConnection();
  return (row) =>
    row.owner === null ||
    row.owner === user ||
    (row.owner.endsWith(`/${user}`) && client.feed.requests.get().has(row.request_id));
}

/** The question; `row` null keeps it closed. What was written so far stays either way. */
export function StopDialog({ row, onClose }: { row: RequestRow | null; onClose: () => void }) {
  const client = useClient();
  const mine = useMine();
  const [busy, setBusy] = useState(false);
  const stop = async () => {
    if (!row) return;
    setBusy(true);
    try {
      // The client's own way knows what is still unsent; somebody else's request is stopped in their name.
      const result = mine(row)
        ? await client.cancel(row.request_id)
        : await client.call("cancel", { request_id: row.request_id, owner: row.owner });
      toast({ text: result.won ? "Stopped." : "It had ended before it could be stopped." });
      onClose();
    } catch (error) {
      toast({
        text: error instanceof Error ? error.message : "It could not be stopped; try again.",
        tone: "fail",
      });
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog open={row !== null} onClose={onClose} title="Stop this request?">
      <p>
        {row?.title
          ? `“${row.title}” ends now, for everybody who follows it.`
          : "It ends now, for everybody who follows it."}{" "}
        What was written so far stays.
        {row && !mine(row) && ` It is ${row.owner}'s: they will see that an operator stopped it.`}
      </p>
      <div className={styles.actions}>
        <Button variant="quiet" onClick={onClose}>
          Let it run
        </Button>
        <Button variant="danger" busy={busy} onClick={() => void stop()}>
          Stop it
        </Button>
      </div>
    </Dialog>
  );
}
