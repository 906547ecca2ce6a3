/** The painter's signs: drawn lines, 20 by 20, in the colour of the text. */

const PATHS = {
  brush: "M12.5 3.5 16.5 7.5 9 14.5 5.5 11ZM5.5 11C3.5 11.5 4 14.5 2.5 16.5 5.5 17 8.5 16.5 9 14.5",
  eraser: "M8.5 16.5H5.5L2.8 13.8 11.5 4.5 17 10 10.8 16.5H8.5M7 9.5l5.3 5.3M11 16.5h6.5",
  lasso: "M10 3.5c4.2 0 7.3 1.9 7.3 4.8S14.2 13 10 13c-1.2 0-2.4-.1-3.4-.4M10 3.500c-4.2 0-7.3 1.9-7.3 4.8 0 1.7 1.2 3 2.9 3.800M5.6 12.100a1.5 1.5 0 1 0 1.2 2.600c.3 1.3-.5 2.2-1.8 2.7",
  fill: "M9 3 16 10 10 16 3.5 9.5 9.5 3.500M4 9.500h11.300M17 13c1 1.5 1.3 2.2 1.3 2.800a1.3 1.3 0 0 1-2.6 0c0-.6.3-1.3 1.3-2.800Z",
  crop: "M5.5 2v12.500H18M2 5.500h12.500V18",
  move: "M10 2v16M2 10h16M10 2 8 4M10 2l2 2M10 18l-2-2M10 18l2-2M2 10l2-2M2 10l2 2M18 10l-2-2M18 10l-2 2",
  undo: "M7 4 3.5 7.5 7 11M3.5 7.500H12a4.5 4.5 0 0 1 0 9H8",
  redo: "M13 4l3.5 3.500L13 11M16.5 7.500H8a4.5 4.5 0 0 0 0 9h4",
  invert: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14Z",
  clear: "M4 5.500h12M8 5.500V3.500h4v2M5.5 5.500l.8 11h7.400l.8-11M8.5 8.500v5M11.5 8.500v5",
  all: "M3.5 3.500h13v13h-13ZM6.5 10l2.5 2.5 4.5-5",
  fit: "M3.5 7V3.500H7M13 3.500h3.500V7M16.5 13v3.500H13M7 16.500H3.500V13",
} as const;

export type Sign = keyof typeof PATHS;

export function Icon({ name }: { name: Sign }) {
  return (
    <svg viewBox="0 0 20 20" width="18" height="18" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinejoin="round" strokeLinecap="round" aria-hidden="true">
      <path d={PATHS[name]} />
      {name === "invert" && <path d="M10 3a7 7 0 0 0 0 14Z" fill="currentColor" stroke="none" />}
    </svg>
  );
}
