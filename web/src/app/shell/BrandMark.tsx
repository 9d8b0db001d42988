/** The mark: an anchor whose flukes are roots, as seaweed's holdfast has them. The same drawing is in public/mark.svg. */

/** The mark in the accent's colour; it says nothing to screen readers. */
export function BrandMark({ size = 24 }: { size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 32 32"
      fill="none"
      stroke="var(--accent)"
      strokeWidth="2.6"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <circle cx="16" cy="6" r="3" />
      <path d="M16 9v18.5M10.5 13.5h11M4.5 18.5c.6 5.6 5 9 11.5 9s10.9-3.4 11.5-9M16 19c-.3 3-2 5.2-4.8 6.3M16 19c.3 3 2 5.2 4.8 6.3" />
    </svg>
  );
}
