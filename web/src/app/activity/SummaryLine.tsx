/** One line that says how things stand: running, waiting, failed lately, tokens of what is shown. */
import { useClient } from "@app/model/index.ts";
import type { RequestRow } from "@sdk";
import styles from "./activity.module.css";
import { summarise } from "./rows.ts";
import { useTick } from "./ticking.ts";

/** Counts over all `known` rows; tokens over the `shown` ones. */
export function SummaryLine({
  known,
  shown,
}: {
  known: readonly RequestRow[];
  shown: readonly RequestRow[];
}) {
  const client = useClient();
  useTick(known.length > 0);
  const sum = summarise(known, shown, client.now());
  return (
    <dl className={styles.summary}>
      <Fact name="running" value={sum.running} tone={sum.running ? "run" : ""} />
      <Fact name="waiting" value={sum.waiting} tone={sum.waiting ? "wait" : ""} />
      <Fact name="failed in the last hour" value={sum.failed} tone={sum.failed ? "fail" : ""} />
      <Fact
        name={sum.estimated ? "tokens shown, partly estimated" : "tokens shown"}
        value={sum.tokens}
        tone=""
      />
    </dl>
  );
}

function Fact({ name, value, tone }: { name: string; value: number; tone: string }) {
  return (
    <div data-tone={tone}>
      <dt>{name}</dt>
      <dd>{value.toLocaleString()}</dd>
    </div>
  );
}
