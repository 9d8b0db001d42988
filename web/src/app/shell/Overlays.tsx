/** The shell's dialogs and the shortcuts that hold on every screen. */
import { Dialog, useShortcut } from "@app/design/index.ts";
import { useLocation } from "wouter";
import { lazyScreen } from "./lazyScreen.tsx";
import { closeOverlay, openOverlay, useOverlay } from "./overlays.ts";
import { SettingsDialog } from "./SettingsDialog.tsx";
import { ShortcutsHelp } from "./ShortcutsHelp.tsx";
import { TokenDialog } from "./TokenForm.tsx";

const Palette = lazyScreen(() => import("./Palette.tsx").then((module) => module.Palette));

/** All dialogs of the shell; mount it once. */
export function Overlays() {
  const open = useOverlay();
  const [, go] = useLocation();
  const toggle = () => openOverlay(open === "palette" ? null : "palette");
  useShortcut("mod+k", "Command palette", toggle, { everywhere: open === "palette" });
  useShortcut("alt+n", "New chat", () => go("/"));
  useShortcut("g i", "Go to the inbox", () => go("/inbox"));
  useShortcut("g a", "Go to activity", () => go("/activity"));
  return (
    <>
      <Dialog open={open === "palette"} onClose={() => closeOverlay("palette")} title="Command palette" bare>
        <Palette />
      </Dialog>
      <ShortcutsHelp />
      <SettingsDialog />
      <TokenDialog />
    </>
  );
}
