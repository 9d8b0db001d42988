/** The command palette: chats, actions, agents and places, by typing a few letters. Loaded when it is first opened. */
import { keysLabel, StatusDot } from "@app/design/index.ts";
import {
  chatActions,
  useAgents,
  useChatList,
  useInbox,
  usePreferences,
  useSearch,
} from "@app/model/index.ts";
import { Command } from "cmdk";
import {
  Activity,
  Archive,
  Bot,
  CheckCheck,
  CircleHelp,
  Inbox,
  MessageSquare,
  Monitor,
  Moon,
  PanelLeft,
  Search,
  Settings,
  SquarePen,
  Sun,
} from "lucide-react";
import { type ReactNode, useState } from "react";
import { useLocation } from "wouter";
import { excerpt } from "./excerpt.ts";
import { closeOverlay, openOverlay } from "./overlays.ts";
import styles from "./palette.module.css";
import { useChatId } from "./place.ts";
import { hitPath, Marked } from "./SearchResults.tsx";

/** More would only be scrolled past; typing finds the rest, in the server's search too. */
const CHATS_MAX = 40;
/** What is shown of them before anything is typed: the actions must stay in sight. */
const RECENT_MAX = 5;

/** The palette's content; its dialog is around it. */
export function Palette() {
  const [text, setText] = useState("");
  const query = text.trim();
  const { hits } = useSearch(query.length >= 2 ? query : "");
  const { rows } = useChatList();
  const agents = useAgents();
  const chatId = useChatId();
  const [, go] = useLocation();
  const known = new Set(rows.slice(0, CHATS_MAX).map((row) => row.chatId));
  const others = hits.filter((hit, index) => {
    // A title of a chat that is in the list is found there.
    if (hit.message_id === null && known.has(hit.chat_id)) return false;
    return hits.findIndex((one) => hitPath(one) === hitPath(hit)) === index;
  });

  function run(action: () => void) {
    closeOverlay("palette");
    action();
  }

  return (
    <Command label="Command palette" loop className={styles.palette}>
      <div className={styles.field}>
        <Search size={17} aria-hidden="true" />
        <Command.Input
          value={text}
          onValueChange={setText}
          placeholder="Go to a chat, or do something…"
          autoFocus
        />
      </div>
      <Command.List className={styles.list} label="Suggestions">
        {others.length === 0 && (
          <Command.Empty className={styles.empty}>Nothing matches “{query}”.</Command.Empty>
        )}
        <Command.Group heading={query ? "Chats" : "Recent chats"}>
          {rows.slice(0, query ? CHATS_MAX : RECENT_MAX).map((row) => (
            <Item
              key={row.chatId}
              value={`${row.title} ${row.chatId}`}
              icon={<MessageSquare size={16} />}
              onSelect={() => run(() => go(`/c/${row.chatId}`))}
            >
              <span className={styles.text}>{row.title || "New chat"}</span>
              {row.badge && (
                <>
                  <StatusDot status={row.badge} />
                  <span className="visually-hidden">, {row.badge}</span>
                </>
              )}
            </Item>
          ))}
        </Command.Group>
        <Actions run={run} chatId={chatId} />
        {others.length > 0 && (
          <Command.Group heading="Found in chats" forceMount>
            {others.map((hit) => (
              <Item
                key={hitPath(hit)}
                value={`found ${query} ${hit.title} ${hitPath(hit)}`}
                icon={<Search size={16} />}
                onSelect={() => run(() => go(hitPath(hit)))}
              >
                <span className={styles.text}>{hit.title || "Untitled chat"}</span>
                {hit.message_id !== null && (
                  <span className={styles.about}>
                    <Marked text={excerpt(hit.snippet)} />
                  </span>
                )}
              </Item>
            ))}
          </Command.Group>
        )}
        {chatId !== null && agents.length > 1 && (
          <Command.Group heading="Agent of this chat">
            {agents.map((agent) => (
              <Item
                key={agent.name}
                value={`agent ${agent.name} ${agent.model}`}
                icon={<Bot size={16} />}
                onSelect={() => run(() => chatActions.setAgent(chatId, agent.name))}
              >
                Use {agent.name}
                {agent.model && <span className={styles.about}>{agent.model}</span>}
              </Item>
            ))}
          </Command.Group>
        )}
      </Command.List>
    </Command>
  );
}

function Actions({ run, chatId }: { run: (action: () => void) => void; chatId: string | null }) {
  const [, go] = useLocation();
  const { theme, setTheme, sidebarOpen, set } = usePreferences();
  const { unseen, markAllSeen } = useInbox();
  const themes = [
    { value: "light", label: "Light theme", icon: <Sun size={16} /> },
    { value: "dark", label: "Dark theme", icon: <Moon size={16} /> },
    { value: "system", label: "The system’s theme", icon: <Monitor size={16} /> },
  ] as const;
  return (
    <Command.Group heading="Actions">
      <Item value="new chat" icon={<SquarePen size={16} />} keys="alt+n" onSelect={() => run(() => go("/"))}>
        New chat
      </Item>
      <Item
        value="go to inbox"
        icon={<Inbox size={16} />}
        keys="g i"
        onSelect={() => run(() => go("/inbox"))}
      >
        Go to the inbox
      </Item>
      <Item
        value="go to activity monitor"
        icon={<Activity size={16} />}
        keys="g a"
        onSelect={() => run(() => go("/activity"))}
      >
        Go to activity
      </Item>
      {unseen > 0 && (
        <Item value="mark all as seen" icon={<CheckCheck size={16} />} onSelect={() => run(markAllSeen)}>
          Mark everything in the inbox as seen
        </Item>
      )}
      {chatId !== null && (
        <Item
          value="archive this chat"
          icon={<Archive size={16} />}
          onSelect={() =>
            run(() => {
              void chatActions.archive(chatId, true);
              go("/");
            })
          }
        >
          Archive this chat
        </Item>
      )}
      {themes
        .filter(({ value }) => value !== theme)
        .map(({ value, label, icon }) => (
          <Item key={value} value={label} icon={icon} onSelect={() => run(() => setTheme(value))}>
            {label}
          </Item>
        ))}
      <Item
        value="sidebar"
        icon={<PanelLeft size={16} />}
        keys="mod+b"
        onSelect={() => run(() => set({ sidebarOpen: !sidebarOpen }))}
      >
        {sidebarOpen ? "Hide the sidebar" : "Show the sidebar"}
      </Item>
      <Item
        value="settings preferences"
        icon={<Settings size={16} />}
        onSelect={() => run(() => openOverlay("settings"))}
      >
        Settings
      </Item>
      <Item
        value="keyboard shortcuts help"
        icon={<CircleHelp size={16} />}
        keys="?"
        onSelect={() => run(() => openOverlay("help"))}
      >
        Keyboard shortcuts
      </Item>
    </Command.Group>
  );
}

function Item(props: {
  value: string;
  icon: ReactNode;
  keys?: string;
  onSelect: () => void;
  children: ReactNode;
}) {
  return (
    <Command.Item value={props.value} onSelect={props.onSelect} className={styles.item}>
      <span className={styles.icon} aria-hidden="true">
        {props.icon}
      </span>
      <span className={styles.label}>{props.children}</span>
      {props.keys && (
        <span className={styles.keys} aria-hidden="true">
          {keysLabel(props.keys)}
        </span>
      )}
    </Command.Item>
  );
}
