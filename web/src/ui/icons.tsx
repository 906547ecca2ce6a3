/** Signs: drawn lines, 20 by 20, in the colour of the text. */

const PATHS = {
  brush: "M12.5 3.5 16.5 7.5 9 14.5 5.5 11ZM5.5 11C3.5 11.5 4 14.5 2.5 16.5 5.5 17 8.5 16.5 9 14.5",
  eraser: "M8.5 16.5H5.5L2.8 13.8 11.5 4.5 17 10 10.8 16.5H8.5M7 9.5l5.3 5.3M11 16.5h6.5",
  lasso: "M10 3.5c4.2 0 7.3 1.9 7.3 4.8S14.2 13 10 13c-1.2 0-2.4-.1-3.4-.4M10 3.500c-4.2 0-7.3 1.9-7.3 4.8 0 1.7 1.2 3 2.9 3.800M5.6 12.100a1.5 1.5 0 1 0 1.2 2.600c.3 1.3-.5 2.2-1.8 2.7",
  fill: "M9 3 16 10 10 16 3.5 9.5 9.5 3.500M4 9.500h11.300M17 13c1 1.5 1.3 2.2 1.3 2.800a1.3 1.3 0 0 1-2.6 0c0-.6.3-1.3 1.3-2.800Z",
  feed: "M2.500 6h7v8h-7ZM12 6h5.500M12 10h5.500M12 14h5.500",
  similar: "M3.5 16.5 11 9M12.500 3v3M12.500 9v3M8 7.500h3M14 7.500h3M9.500 4.500l1 1M15.500 4.500l-1 1M15.500 10.500l-1-1",
  segment: "M3 6V3.500h3M14 3.500h3V6M17 14v2.500h-3M6 16.500H3V14M10 6.500c2.300 0 3.800 1.400 3.800 3.600S12.300 13.500 10 13.500 6.500 12.300 6.500 10 7.700 6.500 10 6.500Z",
  picker: "M11.5 5.500 14.500 8.500M13 4l1.300-1.300a1.900 1.900 0 0 1 2.900 2.900L15.900 7M12.500 6.500l-8 8L3.500 17 6 16l8-8",
  crop: "M5.5 2v12.500H18M2 5.500h12.500V18",
  move: "M10 2v16M2 10h16M10 2 8 4M10 2l2 2M10 18l-2-2M10 18l2-2M2 10l2-2M2 10l2 2M18 10l-2-2M18 10l-2 2",
  undo: "M7 4 3.5 7.5 7 11M3.5 7.500H12a4.5 4.5 0 0 1 0 9H8",
  redo: "M13 4l3.5 3.500L13 11M16.5 7.500H8a4.5 4.5 0 0 0 0 9h4",
  invert: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14Z",
  clear: "M4 5.500h12M8 5.500V3.500h4v2M5.5 5.500l.8 11h7.400l.8-11M8.5 8.500v5M11.5 8.500v5",
  all: "M3.5 3.500h13v13h-13ZM6.5 10l2.5 2.5 4.5-5",
  fit: "M3.5 7V3.500H7M13 3.500h3.500V7M16.5 13v3.500H13M7 16.500H3.500V13",
  copy: "M7 7h9v9H7ZM13 7V4H4v9h3",
  plus: "M10 4v12M4 10h12",
  minus: "M4 10h12",
  templates: "M3.5 4.500h5v5h-5ZM11.5 4.500h5v5h-5ZM3.5 11.500h5v5h-5ZM14 11.500v5M11.5 14h5",
  nodes: "M3 5.500h6v5H3ZM11 10.500h6v5h-6ZM9 8h2.500a1 1 0 0 1 1 1v1.500",
  models: "M10 2.500 16.5 6v8L10 17.500 3.5 14V6ZM3.5 6 10 9.500 16.5 6M10 9.500v8",
  gallery: "M3 4.500h14v11H3ZM3 13l4-4 3.500 3.500 2.500-2.500 4 4M13 7.500h.01",
  queue: "M3.5 5.500h13M3.5 10h13M3.5 14.500h8M14 13l3 1.750L14 16.500Z",
  outline: "M4 5h.01M4 10h.01M4 15h.01M7.5 5H17M7.5 10H17M7.5 15H17",
  problems: "M10 3.500 17.5 16.500H2.5ZM10 8.500v3.500M10 14.300v.01",
  form: "M4 3.500h12v13H4ZM7 7h6M7 10h6M7 13h3",
  palette: "M3.5 6 7 9.500 3.5 13M9 14h7.500",
  settings: "M3 6h7M14 6h3M3 14h3M10 14h7M12 4.200a1.800 1.800 0 1 0 0 3.600 1.800 1.800 0 0 0 0-3.600ZM8 12.200a1.800 1.800 0 1 0 0 3.600 1.800 1.800 0 0 0 0-3.600Z",
  shortcuts: "M7.500 7.500a2.500 2.500 0 1 1 3.700 2.200c-.800.500-1.200 1-1.200 1.800M10 14.500v.01M10 2.500a7.500 7.500 0 1 0 0 15 7.500 7.500 0 0 0 0-15Z",
  run: "M6 4 16 10 6 16Z",
  stop: "M5.500 5.500h9v9h-9Z",
} as const;

export type Sign = keyof typeof PATHS;

/** Points down at what is open, or what opens below; to the right at what is shut. */
export function Chevron({ open = true }: { open?: boolean }) {
  return (
    <svg viewBox="0 0 10 10" width="9" height="9" aria-hidden="true">
      <path d={open ? "M1.5 3 5 7 8.5 3" : "M3 1.5 7 5 3 8.5"} fill="none" stroke="currentColor" strokeWidth="1.6" />
    </svg>
  );
}

export function Icon({ name }: { name: Sign }) {
  return (
    <svg viewBox="0 0 20 20" width="18" height="18" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinejoin="round" strokeLinecap="round" aria-hidden="true">
      <path d={PATHS[name]} />
      {name === "invert" && <path d="M10 3a7 7 0 0 0 0 14Z" fill="currentColor" stroke="none" />}
    </svg>
  );
}
