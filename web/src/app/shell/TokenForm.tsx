/** Where the person gives the token by which the server knows them. */
import { Button, Dialog, Field, Switch, TextInput } from "@app/design/index.ts";
import { useClient, useConnection } from "@app/model/index.ts";
import { type FormEvent, useState } from "react";
import { BrandMark } from "./BrandMark.tsx";
import { closeOverlay, useOverlay } from "./overlays.ts";
import styles from "./panels.module.css";
import { readToken, writeToken } from "./token.ts";

/** The form as a whole screen: nothing else can be shown without a token. */
export function TokenScreen() {
  return (
    <div className={styles.gate}>
      <div className={styles.gateCard}>
        <BrandMark size={36} />
        <h1>Sign in</h1>
        <p className={styles.lead}>This Holdfast server asks for a token before it shows any chats.</p>
        <TokenForm onDone={() => {}} />
      </div>
    </div>
  );
}

/** The form as a dialog: for a token that is no longer taken, with the chats still on screen. */
export function TokenDialog() {
  const open = useOverlay() === "token";
  const close = () => closeOverlay("token");
  return (
    <Dialog open={open} onClose={close} title="Sign in again">
      <TokenForm onDone={close} />
    </Dialog>
  );
}

function TokenForm({ onDone }: { onDone: () => void }) {
  const client = useClient();
  const { phase, needsToken } = useConnection();
  const [text, setText] = useState("");
  const [keep, setKeep] = useState(false);
  const [tried, setTried] = useState(() => readToken() !== null);
  const busy = phase === "connecting";
  const wrong = tried && needsToken && !busy && phase === "refused";

  function submit(event: FormEvent) {
    event.preventDefault();
    const token = text.trim();
    if (!token) return;
    writeToken(token, keep ? "browser" : "tab");
    setTried(true);
    client.setToken(token);
    onDone();
  }

  return (
    <form className={styles.form} onSubmit={submit}>
      <Field
        label="Token"
        error={wrong ? "The server does not take this token. Check it, or ask whoever runs the server." : ""}
        hint={
          <>
            Whoever runs the server gives you one: it is in the server’s configuration, under{" "}
            <code>identity.tokens</code>.
          </>
        }
      >
        <TextInput
          type="password"
          autoComplete="current-password"
          spellCheck={false}
          maxLength={2048}
          value={text}
          onChange={(event) => setText(event.target.value)}
          autoFocus
        />
      </Field>
      <Switch
        label="Stay signed in"
        hint="Otherwise it is forgotten when this tab is closed."
        checked={keep}
        onChange={setKeep}
      />
      <Button type="submit" variant="primary" busy={busy} disabled={!text.trim()}>
        Sign in
      </Button>
    </form>
  );
}
