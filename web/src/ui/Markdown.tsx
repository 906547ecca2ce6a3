import { Fragment, type ReactNode } from "react";

/**
 * The small part of Markdown that notes and help use: headings, lists, bold, italic, code. Never makes HTML of text.
 * With `breaks` each line stays a line, as it was typed.
 */
export function Markdown({ text, breaks = false }: { text: string; breaks?: boolean }) {
  const blocks: ReactNode[] = [];
  let items: string[] = [];
  let lines: string[] = [];
  const flush = () => {
    if (lines.length) {
      blocks.push(
        <p key={blocks.length}>
          {breaks ? lines.map((line, index) => <Fragment key={index}>{index > 0 && <br />}{inline(line)}</Fragment>) : inline(lines.join(" "))}
        </p>,
      );
    }
    lines = [];
    if (items.length) {
      blocks.push(
        <ul key={blocks.length}>
          {items.map((item, index) => (
            <li key={index}>{inline(item)}</li>
          ))}
        </ul>,
      );
    }
    items = [];
  };
  for (const line of text.split("\n")) {
    const item = /^\s*[-*]\s+(.*)$/.exec(line);
    if (item) {
      if (lines.length) flush();
      items.push(item[1] ?? "");
      continue;
    }
    const heading = /^#{1,3}\s+(.*)$/.exec(line);
    if (items.length || heading || !line.trim()) flush();
    if (heading) blocks.push(<h4 key={blocks.length}>{inline(heading[1] ?? "")}</h4>);
    else if (line.trim()) lines.push(line.trim());
  }
  flush();
  return <div className="markdown">{blocks}</div>;
}

function inline(text: string): ReactNode {
  return text.split(/(\*\*[^*]+\*\*|\*[^*]+\*|`[^`]+`)/g).map((part, index) => {
    if (part.startsWith("**") && part.length > 4) return <strong key={index}>{part.slice(2, -2)}</strong>;
    if (part.startsWith("`") && part.length > 2) return <code key={index}>{part.slice(1, -1)}</code>;
    if (part.startsWith("*") && part.length > 2) return <em key={index}>{part.slice(1, -1)}</em>;
    return <Fragment key={index}>{part}</Fragment>;
  });
}
