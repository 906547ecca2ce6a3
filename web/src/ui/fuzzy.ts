/** Ranking what is searched: whole words before beginnings of words before letters in order. */

interface Searchable {
  id?: string;
  title: string;
  /** Other names, such as those in other programs: nearly as good as the title. */
  tags?: readonly string[];
  also?: string;
}

export function rank<T extends Searchable>(entries: readonly T[], query: string): T[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const scored: { entry: T; score: number; index: number }[] = [];
  entries.forEach((entry, index) => {
    const tags = (entry.tags ?? []).map((tag) => tag.toLowerCase());
    let total = tags.includes(words.join(" ")) ? 90 * words.length : 0;
    // SaveImage, Save Image and save_image are one name.
    const runTogether = letters(query.toLowerCase());
    const own = letters(entry.title.toLowerCase()) === runTogether;
    if (runTogether && (own || tags.some((name) => letters(name) === runTogether))) {
      scored.push({ entry, score: 100 * words.length + Number(own) - entry.title.length / 1000, index });
      return;
    }
    for (const word of words) {
      const best = Math.max(
        score(entry.title.toLowerCase(), word),
        score((entry.also ?? "").toLowerCase(), word) * 0.5,
        ...tags.map((tag) => (tag.includes(word) ? score(tag, word) * 0.9 : 0)),
      );
      if (best <= 0) return;
      total += best;
    }
    // The plain one before the special one: "save" is image.save before image.save_exr, whose title is shorter.
    const plain = entry.id?.endsWith(`.${words.join("_")}`) ? PLAIN : 0;
    scored.push({ entry, score: total + plain - entry.title.length / 1000, index });
  });
  return scored.sort((a, b) => b.score - a.score || a.index - b.index).map(({ entry }) => entry);
}

function letters(name: string): string {
  return name.replace(/[^\p{L}\p{N}]/gu, "");
}

/** More than a title is shorter, less than any other reason. */
const PLAIN = 0.05;

const isEdge = (text: string, at: number) => at >= text.length || /[\s._:/-]/.test(text.charAt(at));

/** 0 where `word` does not occur. */
function score(text: string, word: string): number {
  if (!text) return 0;
  if (text === word) return 100;
  const at = text.indexOf(word);
  if (at === 0) return 80;
  if (at > 0) return !isEdge(text, at - 1) ? 45 : isEdge(text, at + word.length) ? 75 : 70;
  if (text.length > 60) return 0; // letters in order mean nothing in long texts
  let from = 0;
  let gaps = 0;
  for (const letter of word) {
    const found = text.indexOf(letter, from);
    if (found < 0) return 0;
    gaps += found - from;
    from = found + 1;
  }
  return Math.max(1, 30 - gaps);
}
