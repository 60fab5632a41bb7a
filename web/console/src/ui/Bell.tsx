/** The mark of Deskbell: a bell as it stands on a counter. */
export function Bell({ size = 24 }: { size?: number }) {
  return (
    <svg viewBox="0 0 32 32" width={size} height={size} aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8.5" fill="var(--accent)" />
      <g fill="var(--on-accent)">
        <path d="M7.5 21.5h17a8.5 8.5 0 0 0-17 0Z" />
        <rect x="6" y="22.9" width="20" height="2.6" rx="1.3" />
        <rect x="14.6" y="7.6" width="2.8" height="6" rx="1.4" />
        <rect x="12.6" y="6.6" width="6.8" height="2.6" rx="1.3" />
      </g>
    </svg>
  );
}
