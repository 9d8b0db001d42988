/**
 * The page's frame: skip link, sidebar, main area.
 *
 * On a wide screen the sidebar stands beside the main area or is folded to a rail. On a narrow one it is a drawer: while it is
 * open everything else is inert, and closing it gives the focus back.
 */
import { classes, IconButton, useShortcut } from "@app/design/index.ts";
import { useInbox, usePreferences } from "@app/model/index.ts";
import { Activity, Inbox, PanelLeft, Search, SquarePen } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import { Link } from "wouter";
import { BrandMark } from "./BrandMark.tsx";
import { ConnectionLine } from "./ConnectionLine.tsx";
import styles from "./layout.module.css";
import { NARROW, useMedia } from "./media.ts";
import { closeOverlay, openOverlay, useOverlay } from "./overlays.ts";
import { usePlace } from "./place.ts";
import { SEARCH_ID, Sidebar } from "./Sidebar.tsx";
import { setTopBarPlace } from "./topBarPlace.ts";

/** The id of the main area, which the skip link and the change of screens go to. */
export const MAIN_ID = "main";

/** The frame around a screen; `bare` leaves the sidebar out (the token form). */
export function Layout({ children, bare }: { children: ReactNode; bare: boolean }) {
  const narrow = useMedia(NARROW);
  const { sidebarOpen, set } = usePreferences();
  const drawer = useOverlay() === "drawer" && narrow;
  const toggle = () => {
    if (narrow) openOverlay(drawer ? null : "drawer");
    else set({ sidebarOpen: !sidebarOpen });
  };
  useShortcut("mod+b", "Show or hide the sidebar", toggle);
  useShortcut("/", "Search chats", () => {
    if (narrow) openOverlay("drawer");
    else set({ sidebarOpen: true });
    requestAnimationFrame(() => document.getElementById(SEARCH_ID)?.focus());
  });

  return (
    <div className={classes(styles.frame, !narrow && !sidebarOpen && styles.folded, bare && styles.bare)}>
      <a className={styles.skip} href={`#${MAIN_ID}`} onClick={skip} inert={drawer}>
        Skip to the content
      </a>
      {!bare &&
        (narrow ? (
          <Drawer open={drawer} />
        ) : sidebarOpen ? (
          <aside className={styles.aside} aria-label="Sidebar">
            <Sidebar onClose={toggle} />
          </aside>
        ) : (
          <Rail onOpen={toggle} />
        ))}
      <div className={styles.column} inert={drawer}>
        {narrow && !bare && <TopBar />}
        <ConnectionLine hideToken={bare} />
        <main id={MAIN_ID} className={styles.main} tabIndex={-1}>
          {children}
        </main>
      </div>
    </div>
  );
}

function skip(event: { preventDefault: () => void }) {
  event.preventDefault();
  document.getElementById(MAIN_ID)?.focus();
}

function Drawer({ open }: { open: boolean }) {
  const drawer = useRef<HTMLElement>(null);
  const [place] = usePlace();
  const where = JSON.stringify(place);
  useEffect(() => {
    if (!open) return;
    const before = document.activeElement;
    drawer.current?.querySelector<HTMLElement>("a, button")?.focus();
    const onKey = (event: globalThis.KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented) closeOverlay("drawer");
    };
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("keydown", onKey);
      if (before instanceof HTMLElement && before.isConnected) requestAnimationFrame(() => before.focus());
    };
  }, [open]);
  // Somebody who chose a place wants to see it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: it runs because the place changed
  useEffect(() => closeOverlay("drawer"), [where]);

  return (
    <>
      <div
        className={classes(styles.scrim, open && styles.scrimOn)}
        aria-hidden="true"
        onClick={() => closeOverlay("drawer")}
      />
      <aside
        ref={drawer}
        className={classes(styles.drawer, open && styles.drawerOpen)}
        aria-label="Sidebar"
        inert={!open}
      >
        <Sidebar onClose={() => closeOverlay("drawer")} />
      </aside>
    </>
  );
}

function TopBar() {
  const { unseen } = useInbox();
  return (
    <header className={styles.topBar}>
      <IconButton
        label={unseen > 0 ? `Open the sidebar, ${unseen} new in the inbox` : "Open the sidebar"}
        icon={<PanelLeft size={20} />}
        onClick={() => openOverlay("drawer")}
      />
      {unseen > 0 && <span className={styles.mark} aria-hidden="true" />}
      <div ref={setTopBarPlace} className={styles.middle} />
      <Link href="/" className={styles.wordmark}>
        <BrandMark size={20} />
        Holdfast
      </Link>
      <Link href="/" className={styles.square} aria-label="New chat" data-tip="New chat">
        <SquarePen size={19} aria-hidden="true" />
      </Link>
    </header>
  );
}

function Rail({ onOpen }: { onOpen: () => void }) {
  const [place] = usePlace();
  const { unseen } = useInbox();
  const inActivity = place.screen === "activity" || place.screen === "story";
  return (
    <aside className={styles.rail} aria-label="Sidebar, folded">
      <IconButton label="Show the sidebar" shortcut="mod+b" icon={<PanelLeft size={18} />} onClick={onOpen} />
      <Link
        href="/"
        className={styles.square}
        aria-label="New chat"
        data-tip="New chat"
        data-tip-keys="alt+n"
      >
        <SquarePen size={18} aria-hidden="true" />
      </Link>
      <IconButton
        label="Command palette"
        shortcut="mod+k"
        icon={<Search size={18} />}
        onClick={() => openOverlay("palette")}
      />
      <Link
        href="/inbox"
        className={styles.square}
        aria-label={unseen > 0 ? `Inbox, ${unseen} new` : "Inbox"}
        data-tip="Inbox"
        aria-current={place.screen === "inbox" ? "page" : undefined}
      >
        <Inbox size={18} aria-hidden="true" />
        {unseen > 0 && <span className={styles.mark} aria-hidden="true" />}
      </Link>
      <Link
        href="/activity"
        className={styles.square}
        aria-label="Activity"
        data-tip="Activity"
        aria-current={inActivity ? "page" : undefined}
      >
        <Activity size={18} aria-hidden="true" />
      </Link>
    </aside>
  );
}
