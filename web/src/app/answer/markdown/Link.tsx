/** Links and pictures of an answer: where they lead is checked and shown, and nothing is fetched before it is asked for. */
import { ExternalLink, Image } from "lucide-react";
import { createContext, type ReactNode, useContext } from "react";
import { deceives, isOwnPicture, safeAddress } from "../address.ts";
import styles from "./markdown.module.css";

const InLink = createContext(false);

/** A link that leaves the page; text alone where the address is not one to follow. */
export function Link({ written, text, children }: { written: string; text: string; children: ReactNode }) {
  const nested = useContext(InLink);
  const address = nested ? null : safeAddress(written);
  if (address === null) return <span>{children}</span>;
  return (
    <>
      <a
        className={styles.link}
        href={address.href}
        target="_blank"
        rel="noopener noreferrer nofollow"
        title={address.href}
      >
        <InLink value={true}>{children}</InLink>
      </a>
      {deceives(text, address) && <span className={styles.host}> (leads to {address.host})</span>}
    </>
  );
}

/** A picture. One that is elsewhere is only named: opening it would tell that place who reads this. */
export function Picture({ written, alt }: { written: string; alt: string }) {
  const inLink = useContext(InLink);
  if (isOwnPicture(written)) return <img className={styles.picture} src={written} alt={alt} loading="lazy" />;
  const address = safeAddress(written);
  const label = alt || "Image";
  if (address === null || inLink)
    return (
      <span className={styles.image}>
        <Image size={16} aria-hidden="true" /> {label}
      </span>
    );
  return (
    <span className={styles.image}>
      <Image size={16} aria-hidden="true" /> <span>{label}</span>{" "}
      <span className={styles.host}>{address.host}</span>{" "}
      <a
        className={styles.link}
        href={address.href}
        target="_blank"
        rel="noopener noreferrer nofollow"
        aria-label={`Open image in a new tab: ${label}, from ${address.host}`}
      >
        Open image in a new tab <ExternalLink size={14} aria-hidden="true" />
      </a>
    </span>
  );
}
