/** What the person can set in this browser. */
import { Button, Dialog, Segmented, Switch, setSingleKeys, singleKeysOn } from "@app/design/index.ts";
import { signOut, useConnection, usePreferences } from "@app/model/index.ts";
import { LogOut, Monitor, Moon, Sun } from "lucide-react";
import { type ReactNode, useState } from "react";
import { closeOverlay, useOverlay } from "./overlays.ts";
import styles from "./panels.module.css";
import { readToken, writeToken } from "./token.ts";

/** The dialog; it is open while the shell's overlay is `settings`. */
export function SettingsDialog() {
  const open = useOverlay() === "settings";
  return (
    <Dialog open={open} onClose={() => closeOverlay("settings")} title="Settings">
      <Settings />
    </Dialog>
  );
}

function Settings() {
  const preferences = usePreferences();
  const { theme, mode, density, motion, enterSends, showReasoning, set } = preferences;
  const [singleKeys, setSingle] = useState(singleKeysOn);
  return (
    <div className={styles.settings}>
      <Row label="Theme">
        <Segmented
          label="Theme"
          value={theme}
          options={[
            { value: "system", label: "System", icon: <Monitor size={15} aria-hidden="true" /> },
            { value: "light", label: "Light", icon: <Sun size={15} aria-hidden="true" /> },
            { value: "dark", label: "Dark", icon: <Moon size={15} aria-hidden="true" /> },
          ]}
          onChange={preferences.setTheme}
        />
      </Row>
      <Row label="Text">
        <Segmented
          label="Text"
          value={density}
          options={[
            { value: "comfortable", label: "Comfortable" },
            { value: "compact", label: "Compact" },
          ]}
          onChange={(next) => set({ density: next })}
        />
      </Row>
      <Row label="Motion">
        <Segmented
          label="Motion"
          value={motion}
          options={[
            { value: "system", label: "System" },
            { value: "reduced", label: "Reduced" },
            { value: "full", label: "Full" },
          ]}
          onChange={(next) => set({ motion: next })}
        />
      </Row>
      <Row
        label="New chats"
        hint={
          mode === "sync"
            ? "The composer waits for each answer before the next message."
            : "You can write on while the answer runs."
        }
      >
        <Segmented
          label="New chats"
          value={mode}
          options={[
            { value: "async", label: "Background" },
            { value: "sync", label: "Wait" },
          ]}
          onChange={preferences.setMode}
        />
      </Row>
      <Switch
        label="Enter sends"
        hint={
          enterSends ? "Shift+Enter begins a new line." : "Enter begins a new line; Ctrl or Cmd+Enter sends."
        }
        checked={enterSends}
        onChange={(on) => set({ enterSends: on })}
      />
      <Switch
        label="Show thoughts unfolded"
        checked={showReasoning}
        onChange={(on) => set({ showReasoning: on })}
      />
      <Switch
        label="Single-key shortcuts"
        hint="Letters alone, such as G then I. Switch them off if you dictate."
        checked={singleKeys}
        onChange={(on) => {
          setSingleKeys(on);
          setSingle(on);
        }}
      />
      <Account />
    </div>
  );
}

function Row({ label, hint, children }: { label: string; hint?: string; children: ReactNode }) {
  return (
    <div className={styles.setting}>
      <span>
        <span className={styles.settingLabel}>{label}</span>
        {hint && <span className={styles.settingHint}>{hint}</span>}
      </span>
      {children}
    </div>
  );
}

function Account() {
  const { user, server, unsent } = useConnection();
  const [token] = useState(readToken);
  return (
    <div className={styles.account}>
      <p>
        {user ? `Signed in as ${user}` : "Not connected"}
        {server && <span className={styles.version}>Server {server}</span>}
        {token !== null && unsent > 0 && (
          <span className={styles.version}>
            {unsent === 1 ? "1 message is" : `${unsent} messages are`} not sent yet: signing out deletes{" "}
            {unsent === 1 ? "it" : "them"}.
          </span>
        )}
      </p>
      {token !== null && (
        <Button
          size="s"
          variant="danger"
          icon={<LogOut size={15} />}
          onClick={() => {
            // A fresh page: nothing of this person's chats stays on screen or in memory.
            void signOut().then(() => {
              writeToken(null);
              location.assign("/");
            });
          }}
        >
          Sign out
        </Button>
      )}
    </div>
  );
}
