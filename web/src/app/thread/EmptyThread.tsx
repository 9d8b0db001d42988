/** What a chat without messages says. */
import { BrandMark, Welcome } from "@app/shell/index.ts";
import styles from "./thread.module.css";

/** A greeting that says what is different here: nothing is lost; under it what one may ask. */
export function EmptyThread() {
  return (
    <div className={styles.middle}>
      <div className={styles.hello}>
        <BrandMark size={36} />
        <h1>What would you like to know?</h1>
        <p>Answers go on when you leave, reload or lose the network. They are here when you come back.</p>
        <Welcome />
      </div>
    </div>
  );
}
