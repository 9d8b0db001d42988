/** The sidebar: new chat, search, inbox, activity, the chats, and who one is. */
import { classes, IconButton, Kbd, Menu } from "@app/design/index.ts";
import { useConnection, useInbox } from "@app/model/index.ts";
import {
  Activity,
  Archive,
  CircleHelp,
  Command,
  Ellipsis,
  Inbox,
  PanelLeft,
  Search,
  Settings,
  SquarePen,
  X,
} from "lucide-react";
import { type KeyboardEvent, useRef, useState } from "react";
import { Link } from "wouter";
import { BrandMark } from "./BrandMark.tsx";
import { ChatList } from "./ChatList.tsx";
import { openOverlay } from "./overlays.ts";
import { usePlace } from "./place.ts";
import { SearchResults } from "./SearchResults.tsx";
import styles from "./sidebar.module.css";

/** The id of the search field, for the shortcut that goes there. */
export const SEARCH_ID = "chat-search";

/** The sidebar's content, the same on a wide screen and in the drawer; `onClose` puts it away. */
export function Sidebar({ onClose }: { onClose: () => void }) {
  const [query, setQuery] = useState("");
  const [archived, setArchived] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const results = useRef<HTMLDivElement>(null);

  function onSearchKey(event: KeyboardEvent) {
    if (event.key === "Escape" && query) {
      event.stopPropagation();
      setQuery("");
    }
    if (event.key === "ArrowDown") {
      event.preventDefault();
      results.current?.querySelector<HTMLElement>("a")?.focus();
    }
  }

  return (
    <div className={styles.sidebar}>
      <div className={styles.brand}>
        <Link href="/" className={styles.name}>
          <BrandMark size={22} />
          Holdfast
        </Link>
        <IconButton
          label="Hide the sidebar"
          shortcut="mod+b"
          icon={<PanelLeft size={18} />}
          onClick={onClose}
        />
      </div>
      <div className={styles.tools}>
        <Link href="/" className={styles.newChat}>
          <SquarePen size={16} aria-hidden="true" />
          New chat
          <span className={styles.keys} aria-hidden="true">
            <Kbd keys="alt+n" />
          </span>
        </Link>
        <search className={styles.search}>
          <Search size={16} aria-hidden="true" className={styles.searchIcon} />
          <input
            id={SEARCH_ID}
            ref={field}
            type="text"
            inputMode="search"
            enterKeyHint="search"
            autoComplete="off"
            aria-label="Search chats"
            placeholder="Search"
            maxLength={200}
            value={query}
            onChange={(event) => setQuery(event.target.value)}
            onKeyDown={onSearchKey}
          />
          {query && (
            <IconButton
              label="Clear the search"
              icon={<X size={15} />}
              className={styles.clear}
              onClick={() => {
                setQuery("");
                field.current?.focus();
              }}
            />
          )}
        </search>
      </div>
      <Places />
      <div className={styles.scroll} ref={results}>
        {query.trim() ? (
          <SearchResults query={query.trim()} />
        ) : (
          <ChatList key={String(archived)} archived={archived} onArchived={setArchived} />
        )}
      </div>
      <Foot archived={archived} onArchived={setArchived} />
    </div>
  );
}

function Places() {
  const [place] = usePlace();
  const { unseen } = useInbox();
  const inActivity = place.screen === "activity" || place.screen === "story";
  return (
    <nav aria-label="Places" className={styles.places}>
      <Link
        href="/inbox"
        className={styles.place}
        aria-current={place.screen === "inbox" ? "page" : undefined}
      >
        <Inbox size={16} aria-hidden="true" />
        Inbox
        {unseen > 0 && (
          <span className={styles.number}>
            {unseen > 99 ? "99+" : unseen}
            <span className="visually-hidden"> new</span>
          </span>
        )}
      </Link>
      <Link href="/activity" className={styles.place} aria-current={inActivity ? "page" : undefined}>
        <Activity size={16} aria-hidden="true" />
        Activity
      </Link>
    </nav>
  );
}

function Foot({ archived, onArchived }: { archived: boolean; onArchived: (on: boolean) => void }) {
  const { phase, user, operator } = useConnection();
  const online = phase === "online";
  return (
    <div className={styles.foot}>
      <span className={styles.who}>
        <span className={classes(styles.light, online && styles.lit)} aria-hidden="true" />
        <span className={styles.user}>
          {user ? (
            <>
              <span className="visually-hidden">Signed in as </span>
              {user}
              {operator && <span className={styles.role}>operator</span>}
            </>
          ) : online ? (
            "Connected"
          ) : (
            "Not connected"
          )}
        </span>
      </span>
      <IconButton label="Settings" icon={<Settings size={17} />} onClick={() => openOverlay("settings")} />
      <Menu
        label="More"
        align="end"
        side="top"
        keepFocus
        trigger={<IconButton label="More" icon={<Ellipsis size={17} />} />}
        items={[
          {
            label: "Command palette",
            icon: <Command size={15} />,
            shortcut: "mod+k",
            onSelect: () => openOverlay("palette"),
          },
          {
            label: "Keyboard shortcuts",
            icon: <CircleHelp size={15} />,
            shortcut: "?",
            onSelect: () => openOverlay("help"),
          },
          {
            label: archived ? "Show current chats" : "Show archived chats",
            icon: <Archive size={15} />,
            separatorBefore: true,
            onSelect: () => onArchived(!archived),
          },
        ]}
      />
    </div>
  );
}
