/** What a search found, in place of the list of chats. */
import { formatAge, Spinner } from "@app/design/index.ts";
import { useClient, useSearch } from "@app/model/index.ts";
import type { HitRow } from "@sdk";
import { Fragment, type KeyboardEvent } from "react";
import { Link } from "wouter";
import styles from "./chats.module.css";
import { excerpt } from "./excerpt.ts";

/** The hits for `query`, which is not empty. */
export function SearchResults({ query }: { query: string }) {
  const { state, hits, error } = useSearch(query);
  return (
    <section className={styles.scroller} onKeyDown={walk} aria-label="Search results">
      <p className={styles.status} role="status">
        {state === "loading" && <Spinner />}
        {state === "loading" && "Searching…"}
        {state === "done" && hits.length > 0 && (hits.length === 1 ? "1 result" : `${hits.length} results`)}
        {state === "done" && hits.length === 0 && "No results"}
        {state === "error" && "The search failed"}
      </p>
      {state === "error" && <p className={styles.nothing}>{error || "Try again in a moment."}</p>}
      {state === "done" && hits.length === 0 && (
        <p className={styles.nothing}>
          Nothing in your chats matches <strong>“{query}”</strong>. Whole words are found, in titles and
          messages; try fewer or other ones.
        </p>
      )}
      <ul className={styles.list}>
        {hits.map((hit) => (
          <li key={`${hit.chat_id} ${hit.message_id}`}>
            <Hit hit={hit} />
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Where a hit is: the chat, opened at the message if it is one. */
export function hitPath(hit: HitRow): string {
  return hit.message_id === null ? `/c/${hit.chat_id}` : `/c/${hit.chat_id}?m=${hit.message_id}`;
}

function Hit({ hit }: { hit: HitRow }) {
  const client = useClient();
  return (
    <Link href={hitPath(hit)} className={styles.hit}>
      <span className={styles.hitHead}>
        <span>{hit.title || "Untitled chat"}</span>
        <span className={styles.hitAge}>{formatAge(client.now() - hit.created_at)}</span>
      </span>
      {hit.message_id !== null && (
        <span className={styles.snippet}>
          <Marked text={excerpt(hit.snippet)} />
        </span>
      )}
    </Link>
  );
}

/** Text in which what was found stands between U+0002 and U+0003. */
export function Marked({ text }: { text: string }) {
  return text.split("\u0002").map((piece, index) => {
    const [found, rest] = index === 0 ? ["", piece] : splitOnce(piece);
    return (
      // biome-ignore lint/suspicious/noArrayIndexKey: the pieces of one text never move
      <Fragment key={index}>
        {found && <mark>{found}</mark>}
        {rest}
      </Fragment>
    );
  });
}

function splitOnce(piece: string): [string, string] {
  const end = piece.indexOf("\u0003");
  return end < 0 ? ["", piece] : [piece.slice(0, end), piece.slice(end + 1)];
}

function walk(event: KeyboardEvent<HTMLElement>) {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>("a")];
  const next = links[links.indexOf(event.target as HTMLElement) + (event.key === "ArrowDown" ? 1 : -1)];
  event.preventDefault();
  next?.focus();
}
